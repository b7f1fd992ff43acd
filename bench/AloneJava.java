// SPDX-License-Identifier: MIT
//
// The smallest Java program, for the rows `processes` (processes.c): as alone.c.
final class AloneJava {
    static Object made;

    public static void main(String[] arguments) throws java.io.IOException {
        made = new Object[1];
        if (arguments.length > 0) {
            System.out.println("ready");
            System.in.read();
        }
    }
}
