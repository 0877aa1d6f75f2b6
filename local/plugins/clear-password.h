/*
 * A login by a token, as MySQL and MariaDB have it in common: the client is asked for it by the method
 * mysql_clear_password, which sends it as it is, with a zero byte behind it.
 *
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.AWSCLI.html
 * https://dev.mysql.com/doc/refman/8.4/en/cleartext-pluggable-authentication.html
 * https://dev.mysql.com/doc/extending-mysql/8.4/en/writing-authentication-plugins-server-side.html
 */
#include "verifier.h"

/* What CREATE USER names. */
#define NAME "AWSAuthenticationPlugin"
#define CLIENT_METHOD "mysql_clear_password"
#define DESCRIPTION "Asks for an authentication token of Amazon RDS, and a verifier whether it is good"

/* The number of this kind of plugins, and of the licence's kind. */
enum { AUTHENTICATION = 7, PROPRIETARY = 0 };

/* The verdicts that a server takes. */
enum { LET_IN = -1, REFUSE = 0 };

/* The way to the client. */
struct client {
    int (*read_packet)(struct client *, unsigned char **packet);
    int (*write_packet)(struct client *, const unsigned char *packet, int length);
    void (*info)(struct client *, void *);
};

/* What a server tells of the login: it goes on behind this, in another way in each server. */
struct login {
    const char *user;
    unsigned int user_length;
};

static int authenticate(struct client *client, struct login *login)
{
    unsigned char *packet;
    int length = client->read_packet(client, &packet);

    if (length < 2 || packet[length - 1] != 0)
        return REFUSE;
    return is_good(login->user, (const char *)packet, (size_t)length - 1) ? LET_IN : REFUSE;
}
