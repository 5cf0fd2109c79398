/* A session of MQTT 3.1.1 over whatever `say` and `hear` send it through: a message that is larger than the records of small
   devices goes there and comes back, another one is acknowledged. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAYLOAD 3000

static int say(const void *bytes, size_t length);
static int hear(void *bytes, size_t length);

static int fail(const char *what, int code) {
    fprintf(stderr, "%s: %d\n", what, code);
    exit(1);
}

static int dial(const char *port) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo("127.0.0.1", port, &hints, &found)) fail("address", 0);
    int fd = socket(found->ai_family, found->ai_socktype, 0);
    if (connect(fd, found->ai_addr, found->ai_addrlen)) fail("connect", fd);
    freeaddrinfo(found);
    return fd;
}

static void expect(const void *packet, size_t length) {
    static unsigned char heard[PAYLOAD + 16];
    for (size_t at = 0; at < length;) {
        int read = hear(heard + at, length - at);
        if (read <= 0) fail("read", read);
        at += read;
    }
    if (memcmp(heard, packet, length)) fail("unexpected packet", heard[0]);
}

static void tell(const void *packet, size_t length) {
    int said = say(packet, length);
    if (said <= 0) fail("write", said);
}

static void talk(const char *client) {
    static unsigned char packet[PAYLOAD + 16] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0};
    size_t length = strlen(client);
    packet[1] = 12 + length;
    packet[13] = length;
    memcpy(packet + 14, client, length);
    tell(packet, 14 + length);
    expect("\x20\2\0\0", 4);
    tell("\x82\6\0\1\0\1t\0", 8);
    expect("\x90\3\0\1\0", 5);
    /* There at QoS 0, and back. */
    size_t rest = 2 + 1 + PAYLOAD;
    unsigned char head[] = {0x30, 0x80 | (rest & 0x7F), rest >> 7, 0, 1, 't'};
    memset(packet, 'x', sizeof packet);
    memcpy(packet, head, sizeof head);
    tell(packet, sizeof head + PAYLOAD);
    expect(packet, sizeof head + PAYLOAD);
    /* And one that is acknowledged. */
    tell("\x32\6\0\1u\0\7x", 8);
    expect("\x40\2\0\7", 4);
    tell("\xE0\0", 2);
}
