#define _GNU_SOURCE
#include "passwd.h"

#include "password.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define SALT_SIZE 12u
#define PASSWORD_SIZE 1024u

static const char usage[] =
    "usage: midge passwd [-c] [-i ITERATIONS] FILE USER             ask for the user's password, and set it\n"
    "       midge passwd [-c] [-i ITERATIONS] -b FILE USER PASSWORD  take it from the command line, where others may see it\n"
    "       midge passwd -D FILE USER                               remove the user\n"
    "       midge passwd [-i ITERATIONS] -U FILE                    hash all passwords that are not\n"
    "\n"
    "  -c   make the file anew, for its owner only; without it the file has to exist\n"
    "  -i   the cost of a hash, 1 .. 100000000; 100000 without it, a tenth of a second for each login or for each guess\n";

struct command {
    bool create, batch, remove, update;
    uint32_t iterations;
    const char *path;
    const char *user;
    const char *password;
};

__attribute__((format(printf, 1, 2))) static bool fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "midge passwd: ");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return false;
}

/* ---- The command line --------------------------------------------------------------------------------------------------- */

static bool parse_iterations(const char *text, uint32_t *iterations)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *iterations = (uint32_t)number;
    return errno == 0 && *end == '\0' && text[0] != '-' && number >= 1 && number <= MIDGE_ITERATIONS_MAX;
}

static bool parse(struct command *command, int count, char **arguments)
{
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt(count, arguments, "+:cbDUi:h")) >= 0) {
        switch (option) {
        case 'c':
            command->create = true;
            break;
        case 'b':
            command->batch = true;
            break;
        case 'D':
            command->remove = true;
            break;
        case 'U':
            command->update = true;
            break;
        case 'i':
            if (!parse_iterations(optarg, &command->iterations)) {
                return fail("-i: \"%s\" is not a number of iterations; valid: 1 .. %u", optarg, MIDGE_ITERATIONS_MAX);
            }
            break;
        case 'h':
            printf("%s", usage);
            exit(EXIT_SUCCESS);
        default:
            return fail("there is no option -%c, or it needs a value; midge passwd -h lists the options", optopt);
        }
    }
    int wanted = command->update ? 1 : command->batch ? 3 : 2;
    if (count - optind != wanted || (command->remove && (command->create || command->batch)) ||
        (command->update && (command->create || command->batch || command->remove))) {
        return fail("the arguments do not fit together; midge passwd -h shows how they do");
    }
    command->path = arguments[optind];
    command->user = wanted > 1 ? arguments[optind + 1] : "";
    command->password = wanted > 2 ? arguments[optind + 2] : NULL;
    const char *user = command->user;
    if (wanted > 1 && (user[strspn(user, " \t")] == '\0' || strpbrk(user, ":\r\n") != NULL || user[0] == '#' ||
                       strlen(user) >= PASSWORD_SIZE)) {
        return fail("\"%s\" cannot be a user: it must not be empty, start with #, have : in it, or be longer than %u bytes",
                    user, PASSWORD_SIZE - 1);
    }
    return true;
}

/* ---- Asking ------------------------------------------------------------------------------------------------------------- */

/* Reads a line from the terminal without showing it, or from what stands in for one. */
static bool ask(const char *question, char password[PASSWORD_SIZE])
{
    struct termios shown;
    bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    if (terminal) {
        struct termios hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    fprintf(stderr, "%s", question);
    bool got = fgets(password, PASSWORD_SIZE, stdin) != NULL;
    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    }
    fputc('\n', stderr);
    size_t size = got ? strlen(password) : 0;
    if (size == 0 || password[size - 1] != '\n') {
        return fail(got ? "the password is longer than %u bytes" : "no password was given", PASSWORD_SIZE - 2);
    }
    password[size - 1] = '\0';
    return size > 1 || fail("the password is empty");
}

static bool ask_twice(char password[PASSWORD_SIZE])
{
    char again[PASSWORD_SIZE];
    bool good = ask("Password: ", password) && ask("Reenter password: ", again) &&
                (strcmp(password, again) == 0 || fail("the passwords differ; nothing was changed"));
    explicit_bzero(again, sizeof(again));
    return good;
}

/* ---- The file ----------------------------------------------------------------------------------------------------------- */

static bool write_user(FILE *file, const char *user, size_t user_size, const char *password, uint32_t iterations)
{
    struct midge_password made = {.iterations = iterations, .salt_size = SALT_SIZE};
    char text[MIDGE_PASSWORD_TEXT_SIZE];
    if (getrandom(made.salt, SALT_SIZE, 0) != (ssize_t)SALT_SIZE) {
        return fail("cannot get random numbers: %s", strerror(errno));
    }
    midge_password_hash(&made, (const uint8_t *)password, strlen(password));
    midge_password_print(&made, text);
    return fprintf(file, "%.*s:%s\n", (int)user_size, user, text) > 0;
}

/* Takes one line of the old file over into the new one, unless it is to be replaced. *found is set where it is the user's. */
static bool copy_line(const struct command *command, char *line, FILE *new, bool *found)
{
    line[strcspn(line, "\r\n")] = '\0';
    char *colon = strchr(line, ':');
    size_t name_size = colon != NULL ? (size_t)(colon - line) : 0;
    bool is_user = line[0] != '#' && colon != NULL;
    if (command->update && is_user && colon[1] != '$') {
        return write_user(new, line, name_size, colon + 1, command->iterations);
    }
    if (!command->update && command->user != NULL && is_user && strlen(command->user) == name_size &&
        strncmp(line, command->user, name_size) == 0) {
        *found = true;
        return true;
    }
    return fprintf(new, "%s\n", line) >= 0;
}

static bool copy_lines(const struct command *command, FILE *old, FILE *new, bool *found)
{
    char *line = NULL;
    size_t size = 0;
    bool good = true;
    while (good && getline(&line, &size, old) >= 0) {
        good = copy_line(command, line, new, found);
    }
    if (line != NULL) {
        explicit_bzero(line, size);
    }
    free(line);
    return good && ferror(old) == 0;
}

/* The new file gets the owner and the rights of the old one; one that is made is for its owner only. */
static bool take_rights(FILE *old, int fd)
{
    struct stat status;
    if (old == NULL || fstat(fileno(old), &status) != 0) {
        return fchmod(fd, 0600) == 0;
    }
    /* Who is not root cannot give files away, and then keeps them. */
    int given = fchown(fd, status.st_uid, status.st_gid);
    (void)given;
    if ((status.st_mode & S_IROTH) != 0) {
        fprintf(stderr, "midge passwd: warning: every user of this host can read the file; chmod o-r it\n");
    }
    return fchmod(fd, status.st_mode & 07777) == 0;
}

/* Writes the new file beside the old one, and puts it in its place only once it is whole and on the disk. */
static bool replace(const struct command *command, FILE *old, const char *password)
{
    char path[4096];
    bool found = false;
    int size = snprintf(path, sizeof(path), "%s.XXXXXX", command->path);
    if (size < 0 || (size_t)size >= sizeof(path)) {
        return fail("the path is too long");
    }
    int fd = mkostemp(path, O_CLOEXEC);
    FILE *new = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (new == NULL) {
        return fail("cannot write beside %s: %s", command->path, strerror(errno));
    }
    bool good = take_rights(old, fd) && (old == NULL || copy_lines(command, old, new, &found));
    if (good && command->remove && !found) {
        good = fail("there is no user %s in %s", command->user, command->path);
    } else if (good && password != NULL) {
        good = write_user(new, command->user, strlen(command->user), password, command->iterations);
    }
    bool written = fflush(new) == 0 && fsync(fd) == 0;
    written = fclose(new) == 0 && written;
    if (good && (!written || rename(path, command->path) != 0)) {
        good = fail("cannot write %s: %s", command->path, strerror(errno));
    }
    if (!good) {
        unlink(path);
    }
    return good;
}

int midge_passwd(int count, char **arguments)
{
    struct command command = {.iterations = MIDGE_ITERATIONS_DEFAULT};
    char password[PASSWORD_SIZE];
    FILE *old = NULL;
    if (!parse(&command, count, arguments)) {
        return MIDGE_EXIT_WRONG;
    }
    if (!command.create && (old = fopen(command.path, "re")) == NULL) {
        fail("cannot read %s: %s%s", command.path, strerror(errno), errno == ENOENT ? "; -c makes the file" : "");
        return EXIT_FAILURE;
    }
    bool good = true;
    const char *given = command.password;
    if (!command.remove && !command.update && given == NULL) {
        good = ask_twice(password);
        given = password;
    }
    good = good && replace(&command, old, given);
    explicit_bzero(password, sizeof(password));
    if (old != NULL) {
        fclose(old);
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
