/*
 * AWSAuthenticationPlugin for MariaDB, tried on 10.11 and 11.8. The structures are those of <mysql/plugin.h> and
 * <mysql/plugin_auth.h>, with the numbers of these interfaces; a server takes older ones than its own, to a limit.
 */
#include "clear-password.h"

static struct {
    int interface_version;
    const char *client_method;
    int (*authenticate)(struct client *, struct login *);
    /* Without them, SET PASSWORD is refused, and the text behind AS in CREATE USER is kept as it is. */
    void *hash_password, *preprocess_hash;
} authentication = {0x0202, CLIENT_METHOD, authenticate, 0, 0};

struct plugin {
    int type;
    void *authentication;
    const char *name, *author, *description;
    int licence;
    void *init, *deinit;
    unsigned int version;
    void *status_variables, *system_variables;
    const char *version_text;
    unsigned int maturity;
};

/* A server takes what is as mature as itself. */
enum { STABLE = 5 };

int _maria_plugin_interface_version_ = 0x010d;
int _maria_sizeof_struct_st_plugin_ = sizeof(struct plugin);
struct plugin _maria_plugin_declarations_[] = {
    {AUTHENTICATION, &authentication, NAME, "middy-rds-iam", DESCRIPTION, PROPRIETARY, 0, 0, 0x0100, 0, 0, "1.0",
     STABLE},
    {0},
};
