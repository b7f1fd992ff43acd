// SPDX-License-Identifier: MIT
//
// The smallest Go program, for the rows `processes` (processes.c): as alone.c.
package main

import "os"

type thing struct{ other *thing }

var made *thing

func main() {
	made = new(thing)
	if len(os.Args) > 1 {
		os.Stdout.WriteString("ready\n")
		os.Stdin.Read(make([]byte, 1))
	}
}
