/*
 * How a server's own login asks whether a token is good. Who started the server listens at a socket in its data
 * folder, where the threads of MySQL and MariaDB stand as the processes of PostgreSQL do. It is sent the user's
 * name, a zero byte and the token, and answers with a plus sign or with anything else. Where nobody listens, or
 * nobody answers, nobody comes in.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int send_all(int verifier, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(verifier, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return 0;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 1;
}

static int is_good(const char *user, const char *token, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "token-verifier"};
    struct timeval limit = {.tv_sec = 10};
    char answer = 0;
    int verifier = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (verifier < 0)
        return 0;
    setsockopt(verifier, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(verifier, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(verifier, (struct sockaddr *)&address, sizeof address) == 0 &&
        send_all(verifier, user, strlen(user) + 1) && send_all(verifier, token, length) &&
        shutdown(verifier, SHUT_WR) == 0) {
        ssize_t got;

        do
            got = recv(verifier, &answer, 1, 0);
        while (got < 0 && errno == EINTR);
        if (got != 1)
            answer = 0;
    }
    close(verifier);
    return answer == '+';
}
