/* SPDX-License-Identifier: MIT
 *
 * ELF, 64 bits, of the machine the process runs on. A file that cannot be read, or does not look as
 * it should, has no names. */
#include "observe/symbols.h"

#include <elf.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "observe/file.h"

struct np_symbol {
    uintptr_t start, size;
    uint32_t name;
};

/* ---- modules ---- */

static void read_build_id(struct np_module *module, const char *notes, size_t bytes)
{
    while (bytes >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)notes;
        size_t name = (note->n_namesz + 3u) & ~3u, desc = (note->n_descsz + 3u) & ~3u;
        size_t whole = sizeof *note + name + desc;
        if (whole > bytes)
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz <= 32) {
            const unsigned char *id = (const unsigned char *)notes + sizeof *note + name;
            for (size_t i = 0; i < note->n_descsz; i++)
                snprintf(module->build_id + 2 * i, 3, "%02x", id[i]);
            return;
        }
        notes += whole;
        bytes -= whole;
    }
}

static int add_module(struct dl_phdr_info *info, size_t info_bytes, void *arg)
{
    struct np_symbols *symbols = arg;
    struct np_module module = {.bias = info->dlpi_addr};
    char self[4096] = "";
    (void)info_bytes;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        const char *memory = (const char *)info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) && module.end == 0) {
            module.start = (uintptr_t)memory;
            module.end = module.start + part->p_memsz;
            module.offset = part->p_offset;
        } else if (part->p_type == PT_NOTE) {
            read_build_id(&module, memory, part->p_filesz);
        }
    }
    const char *path = info->dlpi_name;
    if (path[0] == '\0' && symbols->count == 0) {
        ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
        self[length > 0 ? length : 0] = '\0';
        path = self;
    }
    struct np_module *more =
        np_fault_realloc(symbols->modules, (symbols->count + 1) * sizeof *symbols->modules);
    if (more == NULL)
        return 1;
    symbols->modules = more;
    module.path = np_fault_strdup(path);
    if (module.path == NULL)
        return 1;
    symbols->modules[symbols->count++] = module;
    return 0;
}

struct np_symbols *np_symbols_new(void)
{
    struct np_symbols *symbols = np_fault_calloc(1, sizeof *symbols);
    if (symbols != NULL && dl_iterate_phdr(add_module, symbols) != 0) {
        np_symbols_free(symbols);
        return NULL;
    }
    return symbols;
}

void np_symbols_free(struct np_symbols *symbols)
{
    if (symbols == NULL)
        return;
    for (size_t i = 0; i < symbols->count; i++) {
        free(symbols->modules[i].path);
        free(symbols->modules[i].symbols);
        free(symbols->modules[i].names);
    }
    free(symbols->modules);
    free(symbols);
}

struct np_module *np_symbols_module(struct np_symbols *symbols, const void *address)
{
    for (size_t i = 0; i < symbols->count; i++)
        if ((uintptr_t)address - symbols->modules[i].start <
            symbols->modules[i].end - symbols->modules[i].start)
            return &symbols->modules[i];
    return NULL;
}

/* ---- tables ---- */

static int by_start(const void *a, const void *b)
{
    uintptr_t left = ((const struct np_symbol *)a)->start;
    uintptr_t right = ((const struct np_symbol *)b)->start;
    return left < right ? -1 : left > right;
}

static const ElfW(Shdr) * find_table(const char *file, size_t bytes, uint32_t type)
{
    const ElfW(Ehdr) *header = (const void *)file;
    if (bytes < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_shentsize != sizeof(ElfW(Shdr)) ||
        header->e_shoff > bytes || header->e_shnum > (bytes - header->e_shoff) / sizeof(ElfW(Shdr)))
        return NULL;
    const ElfW(Shdr) *sections = (const void *)(file + header->e_shoff);
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const ElfW(Shdr) *table = &sections[i];
        if (table->sh_type != type || table->sh_link >= header->e_shnum)
            continue;
        const ElfW(Shdr) *names = &sections[table->sh_link];
        if (table->sh_offset <= bytes && table->sh_size <= bytes - table->sh_offset &&
            names->sh_offset <= bytes && names->sh_size <= bytes - names->sh_offset &&
            names->sh_size > 0 && file[names->sh_offset + names->sh_size - 1] == '\0')
            return table;
    }
    return NULL;
}

static void copy_table(struct np_module *module, const char *file, const ElfW(Shdr) * table)
{
    const ElfW(Shdr) *sections =
        (const void *)(file + ((const ElfW(Ehdr) *)(const void *)file)->e_shoff);
    const ElfW(Shdr) *names = &sections[table->sh_link];
    const ElfW(Sym) *entries = (const void *)(file + table->sh_offset);
    size_t count = table->sh_size / sizeof *entries;
    module->names = np_fault_malloc(names->sh_size);
    module->symbols = np_fault_malloc((count + 1) * sizeof *module->symbols);
    if (module->names == NULL || module->symbols == NULL)
        return;
    memcpy(module->names, file + names->sh_offset, names->sh_size);
    for (size_t i = 0; i < count; i++)
        if (ELF64_ST_TYPE(entries[i].st_info) == STT_FUNC && entries[i].st_shndx != SHN_UNDEF &&
            entries[i].st_name < names->sh_size)
            module->symbols[module->symbol_count++] = (struct np_symbol){
                module->bias + entries[i].st_value, entries[i].st_size, entries[i].st_name};
    qsort(module->symbols, module->symbol_count, sizeof *module->symbols, by_start);
}

static void read_symbols(struct np_module *module)
{
    module->is_read = true;
    size_t bytes;
    char *file = np_file_map(module->path, &bytes);
    if (file == NULL)
        return;
    const ElfW(Shdr) *table = find_table(file, bytes, SHT_SYMTAB);
    if (table == NULL)
        table = find_table(file, bytes, SHT_DYNSYM);
    if (table != NULL)
        copy_table(module, file, table);
    munmap(file, bytes);
}

/* The last one that starts at or before the address and does not end before it. */
static const struct np_symbol *find_symbol(const struct np_module *module, uintptr_t address)
{
    size_t low = 0, high = module->symbol_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (module->symbols[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const struct np_symbol *symbol = &module->symbols[low - 1];
    return symbol->size == 0 || address - symbol->start < symbol->size ? symbol : NULL;
}

void np_symbols_name(struct np_symbols *symbols, const void *address, bool offset, char *ret_name,
                     size_t bytes)
{
    struct np_module *module = np_symbols_module(symbols, address);
    if (module == NULL) {
        snprintf(ret_name, bytes, "%p", address);
        return;
    }
    if (!module->is_read)
        read_symbols(module);
    const struct np_symbol *symbol = find_symbol(module, (uintptr_t)address);
    const char *slash = strrchr(module->path, '/');
    if (symbol == NULL)
        snprintf(ret_name, bytes, "%p (%s)", address, slash != NULL ? slash + 1 : module->path);
    else if (offset)
        snprintf(ret_name, bytes, "%s+0x%" PRIxPTR, module->names + symbol->name,
                 (uintptr_t)address - symbol->start);
    else
        snprintf(ret_name, bytes, "%s", module->names + symbol->name);
}
