/*
 * A plugin for QEMU that counts how often each instruction of the guest's first megabyte is executed, and writes the counts at
 * the end: `qemu-system-arm -plugin count.so,out=PATH`. Lines of "address count", both decimal.
 *
 * Debian does not package qemu-plugin.h; the few declarations of its interface that are used here stand below.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, enum qemu_plugin_op op, void *counter,
                                                uint64_t addend);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t, void *), void *context);
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

#define SIZE 0x100000u

extern int qemu_plugin_version;
int qemu_plugin_version = 1;

static uint64_t counts[SIZE / 2];
static char path[4096];

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t i, count = qemu_plugin_tb_n_insns(tb);

    (void)id;
    for (i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);

        if (address < SIZE) {
            qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &counts[address / 2], 1);
        }
    }
}

static void ended(qemu_plugin_id_t id, void *context)
{
    FILE *file = fopen(path, "w");
    uint32_t i;

    (void)id;
    (void)context;
    for (i = 0; file && i < SIZE / 2; i++) {
        if (counts[i] > 0) {
            fprintf(file, "%" PRIu32 " %" PRIu64 "\n", i * 2, counts[i]);
        }
    }
    if (file) {
        fclose(file);
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0 || strlen(argv[0] + 4) >= sizeof path) {
        fprintf(stderr, "count.so: wants out=PATH\n");
        return 1;
    }
    strcpy(path, argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
