# SPDX-License-Identifier: MIT
"""gdb commands for programs with neap, on live processes and core files: nothing is called in the
program, its memory is only read.

neap-threads             attached threads: state, what is asked of them, where they polled last
neap-heap [MOST]         objects alive by type, the MOST (20) with most bytes
neap-object ADDRESS      the object that an address lies in: type, counts, slots
neap-referrers ADDRESS   the objects with a slot that refers to it

Loaded by itself where libneap is installed, else by: source tools/neap-gdb.py. Needs libneap's debug
information (-Dbuildtype=debugoptimized, or a package's -dbgsym).
"""
import struct

import gdb

OWNERS = {0xEFF0: "handed over", 0xEFF1: "deferred", 0xEFF2: "immortal"}
STATES = ("detached", "running", "blocking", "parked")
REQUESTS = ("stop", "handshake", "clock", "merge", "remote", "pending", "flush", "peek", "again")
HEADER = struct.Struct("<IHBBII")  # local, owner, gc, flags, shared, type
ARRAY, LARGE = 1, 2


def memory(address, count):
    try:
        return bytes(gdb.selected_inferior().read_memory(address, count))
    except gdb.MemoryError as error:
        raise gdb.GdbError(f"neap: no memory at {address:#x}: is it in the core file?") from error


def word(address):
    return struct.unpack("<Q", memory(address, 8))[0]


def variable(name):
    """A variable of libneap's own."""
    for find in (gdb.lookup_global_symbol, gdb.lookup_static_symbol):
        symbol = find(name)
        if symbol is not None and symbol.type.strip_typedefs().code != gdb.TYPE_CODE_FUNC:
            return symbol.value()
    raise gdb.GdbError(f"neap: no {name}: libneap is not loaded, or has no debug information")


def of_file(name, function):
    """A static variable of the file that has the function: other files may have one so named."""
    symbol = gdb.lookup_global_symbol(function)
    if symbol is None:
        raise gdb.GdbError(f"neap: no {function}: libneap is not loaded, or has no debug information")
    for block in (symbol.symtab.static_block(), symbol.symtab.global_block()):
        for found in block:
            if found.name == name:
                return found.value()
    raise gdb.GdbError(f"neap: no {name} in {symbol.symtab.filename}")


def field_offset(type_name, field):
    for row in gdb.lookup_type(type_name).fields():
        if row.name == field:
            return row.bitpos // 8
        if row.name is None or row.is_base_class or not row.name:  # an anonymous union
            for inner in deep_fields(row.type):
                if inner[0] == field:
                    return row.bitpos // 8 + inner[1]
    raise gdb.GdbError(f"neap: no {field} in {type_name}: this libneap is of another version")


def deep_fields(outer):
    for row in outer.strip_typedefs().fields():
        if row.name:
            yield row.name, row.bitpos // 8
        else:
            for name, offset in deep_fields(row.type):
                yield name, row.bitpos // 8 + offset


class Type:
    """A type's descriptor."""

    def __init__(self, value):
        self.name = value["name"].string(errors="replace")
        self.size = int(value["size"])
        self.is_visited = int(value["visit"]) != 0
        self.slots = []
        text = value["slot_text"]
        names = split_slots(text.string()) if int(text) != 0 else []
        for number in range(int(value["slot_count"])):
            slot = value["slots"][number]
            name = names[number] if number < len(names) else f"slot {number}"
            self.slots.append((name, int(slot["offset"]), int(slot["count"]), int(slot["kind"])))


def split_slots(text):
    """The members of "(next, NEAP_ATOMIC(current), children)"."""
    inner = text.strip()[1:-1]
    names = (name.strip() for name in inner.split(","))
    return [name[name.index("(") + 1:].rstrip(")") if "(" in name else name for name in names if name]


class Object:
    """One block with a header, alive or dying."""

    def __init__(self, heap, block, count, data=None):
        self.block, self.bytes = block, count
        self.address = block + 16
        self.data = data if data is not None else memory(block, count)
        (self.local, self.owner, self.gc, self.flags, self.shared, self.type_index) = \
            HEADER.unpack_from(self.data)
        self.type = heap.type_at(self.type_index)

    def is_dying(self):
        return self.owner >= 0xF000

    def references(self):
        """(slot's name, address it refers to) of every slot that is not empty."""
        elements = 1
        if self.flags & ARRAY:
            elements = min(struct.unpack_from("<Q", self.data, self.bytes - 8)[0],
                           self.bytes // max(self.type.size, 1))
        for element in range(elements):
            start = 16 + element * self.type.size
            prefix = f"[{element}]." if self.flags & ARRAY else ""
            for name, offset, count, kind in self.type.slots:
                if kind & 2:
                    count = (self.bytes - start - offset) // 8
                for number in range(count):
                    at = start + offset + 8 * number
                    if at + 8 > self.bytes:
                        break
                    target = struct.unpack_from("<Q", self.data, at)[0]
                    if target != 0:
                        yield prefix + (f"{name}[{number}]" if count > 1 or kind & 2 else name), target
        if self.type.is_visited:
            yield from self.visited()

    def visited(self):
        """A visit's slots cannot be asked for: those of lists are known, else every word may be."""
        if self.type.name == "neap_list":
            length, _, items = struct.unpack_from("<QQQ", self.data, 16)
            for number in range(length if items else 0):
                target = word(items + 8 + 8 * number)
                if target:
                    yield f"[{number}]", target
            return
        for at in range(16, self.bytes - 7, 8):
            target = struct.unpack_from("<Q", self.data, at)[0]
            if target != 0:
                yield f"+{at - 16} (perhaps)", target


class Heap:
    """The region of small blocks, and the large ones, as they are now."""

    def __init__(self):
        region = variable("np_region")
        self.base, self.size = int(region["base"]), int(region["bytes"])
        self.used, self.pools = int(region["used_count"]), int(region["pools"])
        if self.size == 0:
            raise gdb.GdbError("neap: the runtime is not running")
        self.chunks = variable("np_type_chunks")
        self.types = {}
        at = {name: field_offset("struct np_pool", name)
              for name in ("owner", "kind", "block_bytes", "carved", "used")}
        self.at = at
        self.pool_bytes = gdb.lookup_type("struct np_pool").sizeof
        self.table = memory(self.pools, self.used * self.pool_bytes) if self.used else b""

    def type_at(self, index):
        if index not in self.types:
            chunk = self.chunks[index >> 8]
            if index == 0 or int(chunk) == 0 or int(chunk[index & 255]) == 0:
                raise gdb.GdbError(f"neap: no type {index}: a block that is free or damaged")
            self.types[index] = Type(chunk[index & 255].dereference())
        return self.types[index]

    def pool(self, number):
        """(kind, block bytes, carved, used)"""
        start = number * self.pool_bytes
        part = self.table[start:start + self.pool_bytes]
        return (part[self.at["kind"]], struct.unpack_from("<I", part, self.at["block_bytes"])[0],
                struct.unpack_from("<H", part, self.at["carved"])[0],
                struct.unpack_from("<H", part, self.at["used"])[0])

    def pool_objects(self, number):
        kind, block_bytes, carved, _ = self.pool(number)
        if kind != 1 or carved == 0:
            return
        start = self.base + (number << 14)
        data = memory(start, carved * block_bytes)
        for index in range(carved):
            part = data[index * block_bytes:(index + 1) * block_bytes]
            if struct.unpack_from("<I", part, 12)[0] != 0:
                yield Object(self, start + index * block_bytes, block_bytes, part)

    def large_objects(self):
        head = of_file("all", "np_large_all").address
        prefix = gdb.lookup_type("struct np_large")
        node = head["next"] if head.type.code != gdb.TYPE_CODE_PTR else head.dereference()["next"]
        while int(node) != int(head):
            large = node.cast(prefix.pointer()).dereference()
            block = int(node) + prefix.sizeof
            if large["is_object"] and struct.unpack("<I", memory(block + 12, 4))[0] != 0:
                yield Object(self, block, int(large["bytes"]))
            node = node.dereference()["next"]

    def objects(self):
        for number in range(self.used):
            yield from self.pool_objects(number)
        yield from self.large_objects()

    def find(self, address):
        """The object that the address lies in, or None."""
        if 0 <= address - self.base < self.size:
            number = (address - self.base) >> 14
            for found in self.pool_objects(number) if number < self.used else ():
                if found.block <= address < found.block + found.bytes:
                    return found
            return None
        for found in self.large_objects():
            if found.block <= address < found.block + found.bytes:
                return found
        return None


def threads():
    registry = of_file("registry", "np_thread_at")
    for number in range(1, int(registry["high"]) + 1):
        yield registry["chunks"][number >> 8][number & 255]


def thread_name(number):
    for thread in threads():
        if int(thread["id"]) == number:
            return f"{number} \"{thread['name'].string(errors='replace')}\""
    return str(number)


def owner_of(found):
    if found.owner in OWNERS:
        return OWNERS[found.owner]
    if found.is_dying():
        return "dying"
    return "nobody" if found.owner == 0 else "thread " + thread_name(found.owner)


def shown(heap, target):
    other = heap.find(target)
    return f"{target:#x}" + (f" {other.type.name}" if other is not None else "")


class Command(gdb.Command):
    """A command of ours: its class's words are its help."""

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_DATA)

    def address(self, text):
        if not text.strip():
            raise gdb.GdbError(f"usage: {self.name} ADDRESS")
        return int(gdb.parse_and_eval(text).cast(gdb.lookup_type("unsigned long")))


class Threads(Command):
    """neap-threads: attached threads, their state, what is asked of them, where they polled last."""
    name = "neap-threads"

    def invoke(self, text, from_tty):
        print(f"{'slot':>5} {'tid':>8}  {'state':9} {'name':20} asked, last poll")
        for thread in threads():
            state = int(thread["state"])
            if state & 3 == 0:
                continue
            asked = [name for bit, name in enumerate(REQUESTS) if int(thread["requests"]) >> bit & 1]
            where = ""
            if int(thread["site"]) != 0:
                site = thread["site"].dereference()
                where = f"{site['file'].string()}:{int(site['line'])}"
            elif int(thread["code"]) != 0:
                where = str(thread["code"])
            words = STATES[state & 3] + (" *" if state & 4 else "")
            print(f"{int(thread['id']):>5} {int(thread['os_id']):>8}  {words:9} "
                  f"{thread['name'].string(errors='replace'):20} {','.join(asked) or '-'} {where}")


class HeapCommand(Command):
    """neap-heap [MOST]: objects alive by type, the MOST (20) types with most bytes first."""
    name = "neap-heap"

    def invoke(self, text, from_tty):
        heap, rows, dying = Heap(), {}, 0
        most = int(gdb.parse_and_eval(text)) if text.strip() else 20
        for found in heap.objects():
            row = rows.setdefault(found.type.name, [0, 0])
            row[0] += 1
            row[1] += found.bytes
            dying += found.is_dying()
        print(f"{'objects':>12} {'bytes':>16}  type")
        for name, (count, size) in sorted(rows.items(), key=lambda row: (-row[1][1], row[0]))[:most]:
            print(f"{count:>12} {size:>16}  {name}")
        print(f"{sum(row[0] for row in rows.values()):>12} {sum(row[1] for row in rows.values()):>16}"
              f"  in all, {dying} of them dying")


class ObjectCommand(Command):
    """neap-object ADDRESS: the object that the address lies in, its counts and its slots."""
    name = "neap-object"

    def invoke(self, text, from_tty):
        heap, address = Heap(), self.address(text)
        found = heap.find(address)
        if found is None:
            raise gdb.GdbError(f"neap: {address:#x} lies in no object that is alive")
        shared = struct.unpack("<i", struct.pack("<I", found.shared))[0]
        inside = f", {address - found.address} bytes into it" if address > found.address else ""
        print(f"{found.type.name} at {found.address:#x}, {found.bytes} bytes{inside}")
        print(f"  owner {owner_of(found)}; counts: its {found.local}, others' {shared >> 5}")
        state = [name for bit, name in enumerate(("published", "weak", "queued", "merged", "candidate"))
                 if shared >> bit & 1]
        state += [name for bit, name in ((4, "tracked"), (8, "finalized"), (16, "condemned"),
                                         (32, "frozen")) if found.gc & bit]
        print(f"  generation {found.gc & 3}; {', '.join(state) or 'no marks'}")
        for name, target in found.references():
            print(f"  {name} = {shown(heap, target)}")


class ReferrersCommand(Command):
    """neap-referrers ADDRESS: the objects with a slot that refers to the object there."""
    name = "neap-referrers"

    def invoke(self, text, from_tty):
        heap, address = Heap(), self.address(text)
        wanted = heap.find(address)
        if wanted is None:
            raise gdb.GdbError(f"neap: {address:#x} lies in no object that is alive")
        count = 0
        for found in heap.objects():
            for name, target in found.references():
                if target == wanted.address:
                    print(f"{found.type.name} at {found.address:#x}: {name}")
                    count += not name.endswith("(perhaps)")
        print(f"{count} references from objects to {wanted.type.name} at {wanted.address:#x}")
        if wanted.owner not in (0xEFF1, 0xEFF2) and not wanted.is_dying():
            shared = struct.unpack("<i", struct.pack("<I", wanted.shared))[0] >> 5
            counted = (wanted.local if wanted.owner != 0 else 0) + shared
            print(f"counted are {counted}: {max(counted - count, 0)} held from outside")


# ---- pretty printers ----


class StringPrinter:
    """A neap_string as its text."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        at = int(self.value["bytes"].address)
        return memory(at, int(self.value["length"])).decode(errors="replace")

    def display_hint(self):
        return "string"


class ListPrinter:
    """A neap_list as an array of addresses."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return f"neap_list of {int(self.value['length'])}"

    def children(self):
        for number in range(int(self.value["length"])):
            yield f"[{number}]", self.value["items"]["slots"][number]

    def display_hint(self):
        return "array"


class TypePrinter:
    """A type as its name."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return f"neap type {self.value['name'].string()}"


PRINTERS = {"neap_string": StringPrinter, "neap_list": ListPrinter, "neap_type": TypePrinter}


def printer_of(value):
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_STRUCT and kind.tag in PRINTERS:
        return PRINTERS[kind.tag](value)
    return None


printer_of.__name__ = "neap"
for command in (Threads, HeapCommand, ObjectCommand, ReferrersCommand):
    command()
gdb.pretty_printers[:] = [printer for printer in gdb.pretty_printers
                          if getattr(printer, "__name__", "") != "neap"] + [printer_of]
