/* The floor of an echo: sends back the bytes that come. Usage: raw_echo PORT */
#include "floor.h"

static void joined(int fd)
{
    (void)fd;
}

static void received(int fd, const char *data, size_t size)
{
    write_all(fd, data, size);
}

static void left(int fd)
{
    (void)fd;
}

int main(int argc, char **argv)
{
    serve(port_of(argc, argv));
}
