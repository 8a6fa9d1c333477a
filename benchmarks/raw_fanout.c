/* The floor of a fan-out: sends the bytes that come to all connections, the sender included. Usage: raw_fanout PORT */
#include "floor.h"

static int *members;
static size_t count, room;

static void joined(int fd)
{
    if (count == room) {
        room = room ? 2 * room : 1024;
        members = realloc(members, room * sizeof *members);
        if (members == NULL)
            fail("realloc");
    }
    members[count++] = fd;
}

static void received(int fd, const char *data, size_t size)
{
    (void)fd;
    for (size_t i = 0; i < count; i++)
        write_all(members[i], data, size);
}

static void left(int fd)
{
    for (size_t i = 0; i < count; i++)
        if (members[i] == fd)
            members[i] = members[--count];
}

int main(int argc, char **argv)
{
    serve(port_of(argc, argv));
}
