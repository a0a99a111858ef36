/* The floor: the same TCP dump sockscope asks for (TCPDIAG_GETSOCK, SKMEMINFO), received and counted, nothing more.
 * Prints milliseconds of each of argv[1] dumps on its own line, and the rows on the last. */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 20];

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1, fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
    long rows = 0;
    for (int i = 0; i < times; i++) {
        struct { struct nlmsghdr h; struct inet_diag_req r; } ask;
        memset(&ask, 0, sizeof ask);
        ask.h.nlmsg_len = sizeof ask;
        ask.h.nlmsg_type = TCPDIAG_GETSOCK;
        ask.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        ask.r.idiag_family = AF_INET;
        ask.r.idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1);
        ask.r.idiag_states = 0xffff;
        double start = now_ms();
        if (send(fd, &ask, sizeof ask, 0) < 0) return 1;
        rows = 0;
        for (int more = 1; more;) {
            int got = recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0) return 1;
            for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, got); h = NLMSG_NEXT(h, got)) {
                if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) more = 0;
                else rows++;
            }
        }
        printf("%.3f\n", now_ms() - start);
    }
    printf("%ld\n", rows);
    return 0;
}
