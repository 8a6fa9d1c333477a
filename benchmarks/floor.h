/* What both floors do: accept TCP connections on 127.0.0.1 and read from those that are ready, with epoll.
 *
 * No WebSocket, no HTTP: this is what the system alone costs. Each floor defines the three functions.
 */
#ifndef FLOOR_H
#define FLOOR_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64, READ_SIZE = 256 * 1024 }; /* as the servers that are compared with them */

static void joined(int fd);
static void received(int fd, const char *data, size_t size);
static void left(int fd);

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Writes all of it, waiting for room if need be. */
static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = send(fd, data, size, MSG_NOSIGNAL);
        if (written >= 0) {
            data += written;
            size -= written;
        } else if (errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            poll(&room, 1, -1);
        } else if (errno != EINTR) {
            return; /* The end of the connection is reported by epoll as well. */
        }
    }
}

static int listen_on(int port)
{
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0)
        fail("listen");
    return listener;
}

static void watch(int set, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

static void accept_all(int set, int listener)
{
    int one = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(set, fd);
        joined(fd);
    }
}

static void serve(int port)
{
    static char data[READ_SIZE];
    struct epoll_event ready[EVENTS];
    int listener = listen_on(port), set = epoll_create1(0);
    watch(set, listener);
    for (;;) {
        int count = epoll_wait(set, ready, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                accept_all(set, listener);
                continue;
            }
            ssize_t size = recv(fd, data, sizeof data, 0);
            if (size > 0) {
                received(fd, data, size);
            } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
                left(fd);
                close(fd);
            }
        }
    }
}

static int port_of(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        exit(2);
    }
    return atoi(argv[1]);
}

#endif
