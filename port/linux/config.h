/*
 * A configuration in the syntax of mosquitto.conf: one option a line, its name, a space and its value; # starts a comment line.
 *
 * options.c holds the table of what there is; config.c reads files and says what is wrong with them. Nothing is allocated, so a
 * configuration can be read again while the broker runs.
 */
#ifndef MIDGE_CONFIG_FILE_H
#define MIDGE_CONFIG_FILE_H

#include "settings.h"

#define MIDGE_OPTIONS_MAX 160u
#define MIDGE_CONFIG_PATHS_SIZE 16384u
#define MIDGE_CONFIG_ERROR_SIZE 2048u

/* Where an option was given last; file NULL where it was not. */
struct midge_origin {
    const char *file;
    unsigned line;
};

struct midge_configuration {
    struct midge_settings settings;
    struct midge_origin origins[MIDGE_OPTIONS_MAX]; /* of the options, in the order of their table */
    /* Likewise of the options of each listener. The last is the default listener's until midge_config_finish. */
    struct midge_origin listener_origins[MIDGE_LISTENERS_MAX + 1][MIDGE_OPTIONS_MAX];
    bool security_given;                 /* an option that per_listener_settings concerns */
    struct midge_origin here;            /* the line that is being read */
    char paths[MIDGE_CONFIG_PATHS_SIZE]; /* the names of the files, one after the other */
    size_t paths_used;
    void (*complain)(const char *error); /* gets what is wrong with a line, and the reading goes on; NULL: it ends */
    bool started;
    unsigned complaints;                 /* how many it got */
    char error[MIDGE_CONFIG_ERROR_SIZE]; /* after a function has returned false: what is wrong, without a line end */
};

/* Starts with the defaults. The configuration is zeroed, or one that was started before. */
void midge_config_start(struct midge_configuration *config);

/* Reads `path` and what it includes. Returns false after the first line that is wrong, or, with `complain`, at the end. */
bool midge_config_read(struct midge_configuration *config, const char *path);

/* Adds a listener on the loopback addresses with the options of the default listener, as -p does. */
bool midge_config_add_loopback(struct midge_configuration *config, uint16_t port);

/* Fills in what was not said, once everything was read. */
bool midge_config_finish(struct midge_configuration *config);

/* Brings the listeners of a configuration that was read anew into the order of those that run, and leaves out those that do
 * not: they are opened at the start only. *moved tells whether there were differences. Returns false where that cannot be done.
 */
bool midge_config_align(struct midge_configuration *config, const struct midge_settings *running, bool *moved);

/* Describes in `error` what is wrong with the value of an option, with its file and line: `listener` is the number of a
 * listener for those that belong to one, else SIZE_MAX. */
__attribute__((format(printf, 4, 5))) void midge_config_wrong(struct midge_configuration *config, size_t listener,
                                                              const char *name, const char *format, ...);

/* Describes in `error` why midge_init or midge_set_policy refused: `wrong` is the offset that they gave. */
void midge_config_explain(struct midge_configuration *config, size_t wrong);

/* ---- The options ----------------------------------------------------------------------------------------------------- */

enum midge_option_type {
    MIDGE_OPTION_NUMBER,       /* uint32_t */
    MIDGE_OPTION_NUMBER16,     /* uint16_t */
    MIDGE_OPTION_NUMBER8,      /* uint8_t */
    MIDGE_OPTION_CONNECTIONS,  /* uint32_t; -1 is MIDGE_LIMIT_UNSET */
    MIDGE_OPTION_BOOL,         /* bool */
    MIDGE_OPTION_MILLISECONDS, /* uint32_t; written as 500ms, 10s, 2min, 1h; a plain number is seconds */
    MIDGE_OPTION_EXPIRY,       /* uint32_t seconds; written as 30s, 1h, 2d, 3w, 6m (months of 30 days), 1y */
    MIDGE_OPTION_OVERFLOW,     /* enum midge_overflow */
    MIDGE_OPTION_TEXT,         /* char [max], with a terminator */
    MIDGE_OPTION_FIXED,        /* only one value is possible, `valid`; Mosquitto has others */
    MIDGE_OPTION_UNUSED,       /* Mosquitto has it, and here it has no effect that anybody could miss */
    MIDGE_OPTION_FUNCTION      /* `set` decides */
};

/* To whom an option belongs. */
enum midge_option_scope {
    MIDGE_SCOPE_BROKER,   /* offset in struct midge_settings */
    MIDGE_SCOPE_LISTENER, /* offset in struct midge_listener_settings */
    MIDGE_SCOPE_SECURITY  /* offset in struct midge_security_settings */
};

/* The offset of an option that is not stored in one field. */
#define MIDGE_NOWHERE SIZE_MAX

struct midge_option {
    const char *name;
    enum midge_option_type type;
    enum midge_option_scope scope;
    size_t offset;
    uint32_t min;
    uint32_t max;
    /* Stores `value`; `given_before` tells that this option was given in an earlier line. Returns whether the value is valid.
     */
    bool (*set)(struct midge_settings *settings, const char *value, bool given_before);
    const char *valid; /* in words, for those types whose range min and max do not tell */
    const char *doc;
};

/* The table, ended by an option without a name. */
extern const struct midge_option midge_options[];

/* What to do instead about an option that Mosquitto has and Midge does not; NULL where nobody has it. */
const char *midge_option_unsupported(const char *name);

/* The field in which an option is stored at this point of the configuration; NULL where it is not one field. */
void *midge_option_field(const struct midge_option *option, struct midge_settings *settings);

/* Stores the value. Returns whether it is valid. */
bool midge_option_set(const struct midge_option *option, struct midge_settings *settings, const char *value, bool given_before);

/* The valid values in words, in `buffer` where they have to be put together. */
const char *midge_option_valid(const struct midge_option *option, char *buffer, size_t size);

/* What holds without the option, as it would be written, in `buffer` where it has to be put together; NULL where it is not one
 * value. `defaults` has been filled by midge_defaults_start and midge_defaults_fill. */
const char *midge_option_default(const struct midge_option *option, struct midge_settings *defaults, char *buffer, size_t size);

/* Writes the documentation of all options to `fd`. */
void midge_options_print(int fd);

#endif
