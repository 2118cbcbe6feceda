/* Plays inputs of a fuzzer again, with any compiler: files, and corpora packed by keep.sh, an input in base64 a line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint8_t input[1 << 20];

static unsigned digit(int c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? 64 : (unsigned)(at - digits);
}

/* A copy of exactly that size, so that a sanitizer sees a read beyond its end. */
static void play(size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        exit(2);
    }
    memcpy(copy, input, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static unsigned play_packed(FILE *file)
{
    unsigned count = 0;
    unsigned bits = 0;
    unsigned value = 0;
    size_t size = 0;
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        if (c == '\n') {
            play(size);
            count++;
            bits = value = 0;
            size = 0;
        } else if (digit(c) < 64 && size < sizeof input) {
            value = (value << 6 | digit(c)) & 0xFFFFu;
            bits += 6;
            if (bits >= 8) {
                bits -= 8;
                input[size++] = (uint8_t)(value >> bits);
            }
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        size_t length = strlen(argv[i]);
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 2;
        }
        if (length > 7 && strcmp(argv[i] + length - 7, ".base64") == 0) {
            count += play_packed(file);
        } else {
            play(fread(input, 1, sizeof input, file));
            count++;
        }
        (void)fclose(file);
    }
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
