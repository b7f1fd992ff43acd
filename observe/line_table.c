/* SPDX-License-Identifier: MIT
 *
 * A line table is a program for a small machine: it moves an address and a line forward and appends
 * rows; a row stands for the addresses up to the next one. Nothing in the file is believed: every
 * read is bounded, and a unit that goes wrong is left for the next one. */
#include "observe/line_table.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"
#include "observe/file.h"

/* ---- reading within bounds ---- */

struct reader {
    const unsigned char *at, *end;
    bool failed;
};

static struct reader part_of(const struct reader *all, uint64_t offset, uint64_t bytes)
{
    uint64_t size = (uint64_t)(all->end - all->at);
    if (all->failed || offset > size || bytes > size - offset)
        return (struct reader){NULL, NULL, true};
    return (struct reader){all->at + offset, all->at + offset + bytes, false};
}

static void skip(struct reader *reader, uint64_t bytes)
{
    if ((uint64_t)(reader->end - reader->at) < bytes) {
        reader->failed = true;
        reader->at = reader->end;
    } else {
        reader->at += bytes;
    }
}

static uint64_t little(struct reader *reader, unsigned bytes)
{
    uint64_t value = 0;
    const unsigned char *from = reader->at;
    skip(reader, bytes);
    for (unsigned i = 0; i < bytes && !reader->failed; i++)
        value |= (uint64_t)from[i] << 8 * i;
    return value;
}

static uint64_t uleb(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; reader->at < reader->end; shift += 7) {
        unsigned char byte = *reader->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
    reader->failed = true;
    return 0;
}

static int64_t sleb(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; reader->at < reader->end;) {
        unsigned char byte = *reader->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7F) << shift;
        shift += 7;
        if (byte >= 0x80)
            continue;
        if (shift < 64 && (byte & 0x40) != 0)
            value |= UINT64_MAX << shift;
        return (int64_t)value;
    }
    reader->failed = true;
    return 0;
}

static const char *text(struct reader *reader)
{
    const char *start = (const char *)reader->at;
    const void *end =
        reader->at == NULL ? NULL : memchr(reader->at, 0, (size_t)(reader->end - reader->at));
    if (end == NULL) {
        reader->failed = true;
        return "";
    }
    reader->at = (const unsigned char *)end + 1;
    return start;
}

/* ---- the sections ---- */

struct sections {
    struct reader line, line_text, text;
};

static struct sections find_sections(const char *file, size_t bytes)
{
    struct sections found = {{NULL, NULL, true}, {NULL, NULL, true}, {NULL, NULL, true}};
    struct reader all = {(const unsigned char *)file, (const unsigned char *)file + bytes, false};
    ElfW(Ehdr) header;
    if (bytes < sizeof header)
        return found;
    memcpy(&header, file, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_shentsize != sizeof(ElfW(Shdr)) || header.e_shstrndx >= header.e_shnum)
        return found;
    struct reader table =
        part_of(&all, header.e_shoff, (uint64_t)header.e_shnum * sizeof(ElfW(Shdr)));
    if (table.failed)
        return found;
    ElfW(Shdr) names_of;
    memcpy(&names_of, table.at + (size_t)header.e_shstrndx * sizeof names_of, sizeof names_of);
    struct reader names = part_of(&all, names_of.sh_offset, names_of.sh_size);
    for (unsigned i = 0; i < header.e_shnum; i++) {
        ElfW(Shdr) section;
        memcpy(&section, table.at + i * sizeof section, sizeof section);
        if (section.sh_type == SHT_NOBITS || (section.sh_flags & SHF_COMPRESSED) != 0)
            continue;
        struct reader name = part_of(&names, 0, names.failed ? 0 : names_of.sh_size);
        skip(&name, section.sh_name);
        const char *called = text(&name);
        struct reader *slot = strcmp(called, ".debug_line") == 0       ? &found.line
                              : strcmp(called, ".debug_line_str") == 0 ? &found.line_text
                              : strcmp(called, ".debug_str") == 0      ? &found.text
                                                                       : NULL;
        if (slot != NULL)
            *slot = part_of(&all, section.sh_offset, section.sh_size);
    }
    return found;
}

/* ---- one unit ---- */

enum { FORMATS = 16 }; /* columns of a table of names that are looked at */

struct unit {
    const struct sections *sections;
    struct reader folders, files, program; /* where each begins */
    unsigned version, offset_bytes, address_bytes;
    unsigned step, default_line_step, line_range, opcode_base;
    int line_base;
    const unsigned char *lengths; /* of the arguments of standard opcodes, from 1 */
};

struct name {
    const char *text;
    uint64_t folder;
};

/* A column of DWARF 5's tables of names. */
static const char *read_form(struct unit *unit, struct reader *reader, uint64_t form,
                             uint64_t *ret_number)
{
    struct reader from;
    switch (form) {
    case 0x08: /* string */
        return text(reader);
    case 0x1F: /* line_strp */
    case 0x0E: /* strp */
        from = form == 0x1F ? unit->sections->line_text : unit->sections->text;
        skip(&from, little(reader, unit->offset_bytes));
        return text(&from);
    case 0x0B: /* data1 */
        *ret_number = little(reader, 1);
        return NULL;
    case 0x05: /* data2 */
        *ret_number = little(reader, 2);
        return NULL;
    case 0x06: /* data4 */
        *ret_number = little(reader, 4);
        return NULL;
    case 0x0F: /* udata */
        *ret_number = uleb(reader);
        return NULL;
    case 0x1E: /* data16 */
        skip(reader, 16);
        return NULL;
    case 0x09: /* block */
        skip(reader, uleb(reader));
        return NULL;
    default:
        reader->failed = true;
        return NULL;
    }
}

/* Walks a table of names of DWARF 5 up to the entry; leaves the reader behind the table when there
 * are not so many. */
static struct name name_in_table(struct unit *unit, struct reader *reader, uint64_t wanted)
{
    uint64_t kinds[FORMATS] = {0}, forms[FORMATS] = {0};
    unsigned columns = (unsigned)little(reader, 1);
    if (columns > FORMATS)
        reader->failed = true;
    for (unsigned i = 0; i < columns && !reader->failed; i++) {
        kinds[i] = uleb(reader);
        forms[i] = uleb(reader);
    }
    uint64_t count = uleb(reader);
    for (uint64_t entry = 0; entry < count && columns > 0 && !reader->failed; entry++) {
        struct name name = {NULL, 0};
        for (unsigned i = 0; i < columns; i++) {
            uint64_t number = 0;
            const char *words = read_form(unit, reader, forms[i], &number);
            if (kinds[i] == 1) /* path */
                name.text = words;
            else if (kinds[i] == 2) /* index of the folder */
                name.folder = number;
        }
        if (entry == wanted)
            return reader->failed ? (struct name){NULL, 0} : name;
    }
    return (struct name){NULL, 0};
}

static struct name old_name(struct reader *reader, bool is_file, uint64_t wanted)
{
    for (uint64_t entry = 1; !reader->failed; entry++) {
        struct name name = {text(reader), 0};
        if (name.text[0] == '\0')
            break;
        if (is_file) {
            name.folder = uleb(reader);
            uleb(reader); /* time */
            uleb(reader); /* size */
        }
        if (entry == wanted && !reader->failed)
            return name;
    }
    return (struct name){NULL, 0};
}

static struct name name_of(struct unit *unit, bool is_file, uint64_t wanted)
{
    struct reader reader = is_file ? unit->files : unit->folders;
    return unit->version >= 5 ? name_in_table(unit, &reader, wanted)
                              : old_name(&reader, is_file, wanted);
}

/* The header, from behind the unit's length. */
static bool read_header(struct unit *unit, struct reader *reader)
{
    unit->version = (unsigned)little(reader, 2);
    if (unit->version < 2 || unit->version > 5)
        return false;
    if (unit->version >= 5) {
        unit->address_bytes = (unsigned)little(reader, 1);
        little(reader, 1); /* segments */
    }
    uint64_t header_bytes = little(reader, unit->offset_bytes);
    unit->program = *reader;
    skip(&unit->program, header_bytes);
    unit->step = (unsigned)little(reader, 1);
    if (unit->version >= 4)
        little(reader, 1);                  /* operations per instruction */
    little(reader, 1);                      /* where statements begin */
    int line_base = (int)little(reader, 1); /* a signed byte */
    unit->line_base = line_base < 128 ? line_base : line_base - 256;
    unit->line_range = (unsigned)little(reader, 1);
    unit->opcode_base = (unsigned)little(reader, 1);
    unit->lengths = reader->at - 1;
    skip(reader, unit->opcode_base > 0 ? unit->opcode_base - 1 : 0);
    unit->folders = *reader;
    if (unit->version >= 5)
        name_in_table(unit, reader, UINT64_MAX);
    else
        old_name(reader, false, UINT64_MAX);
    unit->files = *reader;
    return !reader->failed && !unit->program.failed && unit->line_range > 0 &&
           unit->opcode_base > 0;
}

/* ---- the machine ---- */

struct search {
    struct np_line *lines;
    size_t count;
    bool no_memory;
};

struct row {
    uint64_t address, file;
    uint64_t line;
};

static void remember(struct search *search, struct unit *unit, struct np_line *line,
                     const struct row *row)
{
    struct name file = name_of(unit, true, row->file);
    line->line = (uint32_t)row->line;
    if (file.text == NULL)
        return;
    /* Folder 0 is where the compiler ran, from DWARF 5 on. */
    struct name in = {NULL, 0}, base = {NULL, 0};
    if (file.text[0] != '/' && file.folder != 0)
        in = name_of(unit, false, file.folder);
    if (unit->version >= 5)
        base = name_of(unit, false, 0);
    size_t bytes = strlen(file.text) + (in.text != NULL ? strlen(in.text) + 1 : 0) + 1;
    line->path = np_fault_malloc(bytes);
    line->folder = base.text != NULL ? np_fault_strdup(base.text) : NULL;
    if (line->path == NULL || (base.text != NULL && line->folder == NULL)) {
        np_line_table_forget(line, 1);
        search->no_memory = true;
        return;
    }
    line->path[0] = '\0';
    if (in.text != NULL) {
        strcpy(line->path, in.text);
        strcat(line->path, "/");
    }
    strcat(line->path, file.text);
}

/* The row stands for the addresses from its own to the next one's. */
static void cover(struct search *search, struct unit *unit, const struct row *row, uint64_t end)
{
    size_t low = 0, high = search->count;
    if (row->line == 0 || end <= row->address)
        return;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (search->lines[middle].address < row->address)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < search->count && search->lines[low].address < end; low++)
        if (search->lines[low].line == 0)
            remember(search, unit, &search->lines[low], row);
}

struct machine {
    struct row now, last;
    bool has_last;
};

static void reset(struct machine *machine)
{
    *machine = (struct machine){.now = {0, 1, 1}};
}

static void append(struct search *search, struct unit *unit, struct machine *machine)
{
    if (machine->has_last)
        cover(search, unit, &machine->last, machine->now.address);
    machine->last = machine->now;
    machine->has_last = true;
}

static void run_extended(struct search *search, struct unit *unit, struct machine *machine,
                         struct reader *program)
{
    uint64_t bytes = uleb(program);
    struct reader part = part_of(program, 0, bytes);
    skip(program, bytes);
    switch (little(&part, 1)) {
    case 1: /* end of a sequence */
        append(search, unit, machine);
        reset(machine);
        break;
    case 2: /* an address */
        machine->now.address = little(&part, bytes - 1 < 8 ? (unsigned)bytes - 1 : 8);
        break;
    default:
        break;
    }
}

static void run_standard(struct search *search, struct unit *unit, struct machine *machine,
                         struct reader *program, unsigned opcode)
{
    switch (opcode) {
    case 1: /* a row */
        append(search, unit, machine);
        break;
    case 2:
        machine->now.address += uleb(program) * unit->step;
        break;
    case 3:
        machine->now.line += (uint64_t)sleb(program);
        break;
    case 4:
        machine->now.file = uleb(program);
        break;
    case 8: /* as the special opcode 255, without a row */
        machine->now.address += (255 - unit->opcode_base) / unit->line_range * unit->step;
        break;
    case 9:
        machine->now.address += little(program, 2);
        break;
    default: /* what does not move, or is not known */
        for (unsigned i = 0; i < unit->lengths[opcode]; i++)
            uleb(program);
        break;
    }
}

static void run(struct search *search, struct unit *unit)
{
    struct reader program = unit->program;
    struct machine machine;
    reset(&machine);
    while (program.at < program.end && !program.failed && !search->no_memory) {
        unsigned opcode = (unsigned)little(&program, 1);
        if (opcode >= unit->opcode_base) {
            unsigned special = opcode - unit->opcode_base;
            machine.now.address += special / unit->line_range * unit->step;
            machine.now.line +=
                (uint64_t)(int64_t)(unit->line_base + (int)(special % unit->line_range));
            append(search, unit, &machine);
        } else if (opcode == 0) {
            run_extended(search, unit, &machine, &program);
        } else {
            run_standard(search, unit, &machine, &program, opcode);
        }
    }
}

int np_line_table_find_in(const char *file, size_t bytes, struct np_line *lines, size_t count)
{
    struct sections sections = find_sections(file, bytes);
    struct search search = {lines, count, false};
    struct reader all = sections.line;
    while (all.at < all.end && !all.failed && !search.no_memory) {
        struct unit unit = {.sections = &sections, .offset_bytes = 4};
        uint64_t length = little(&all, 4);
        if (length == UINT32_MAX) {
            unit.offset_bytes = 8;
            length = little(&all, 8);
        }
        struct reader part = part_of(&all, 0, length);
        skip(&all, length);
        if (!part.failed && read_header(&unit, &part))
            run(&search, &unit);
    }
    return search.no_memory ? -1 : 0;
}

int np_line_table_find(const char *module_path, struct np_line *lines, size_t count)
{
    size_t bytes;
    char *file = np_file_map(module_path, &bytes);
    if (file == NULL)
        return 0;
    int result = np_line_table_find_in(file, bytes, lines, count);
    munmap(file, bytes);
    return result;
}

void np_line_table_forget(struct np_line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(lines[i].path);
        free(lines[i].folder);
        lines[i] = (struct np_line){.address = lines[i].address};
    }
}
