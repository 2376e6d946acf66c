/* A Modbus TCP converter that is not pymodbus: libmodbus behind a port of 127.0.0.1, with the faults of a network.
 *
 *   modbus_tcp_peer PORT
 *
 * It reads its meters from standard input as modbus_peer does (`UNIT KIND [REGISTER=VALUE ...]`, KIND good, dead,
 * slow, other, refuses, ffff, garbage or hangup) and answers one client after the other.
 */
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UNITS = 248, REGISTERS = 4096, UNIT_AT = 6 };

static struct meter {
    char kind[16];
    uint16_t registers[REGISTERS];
} *meters[UNITS];

static void take(char *line)
{
    char *word = strtok(line, " \n");
    int unit = word ? atoi(word) : 0;
    if (unit < 1 || unit >= UNITS)
        return;
    if (meters[unit] == NULL)
        meters[unit] = calloc(1, sizeof **meters);
    word = strtok(NULL, " \n");
    snprintf(meters[unit]->kind, sizeof meters[unit]->kind, "%s", word ? word : "good");
    while ((word = strtok(NULL, " \n")) != NULL) {
        unsigned address, value;
        if (sscanf(word, "%u=%u", &address, &value) == 2 && address < REGISTERS)
            meters[unit]->registers[address] = (uint16_t)value;
    }
}

/* Returns 0 when the connection is to be closed. */
static int answer(modbus_t *bus, modbus_mapping_t *map, uint8_t *query, int length)
{
    struct meter *meter = query[UNIT_AT] < UNITS ? meters[query[UNIT_AT]] : NULL;
    if (meter == NULL || strcmp(meter->kind, "dead") == 0)
        return 1;
    if (strcmp(meter->kind, "hangup") == 0)
        return 0;
    if (strcmp(meter->kind, "garbage") == 0)
        return send(modbus_get_socket(bus), "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL) > 0;
    if (strcmp(meter->kind, "slow") == 0)
        usleep(900 * 1000);
    if (strcmp(meter->kind, "other") == 0)
        query[UNIT_AT]++;
    if (strcmp(meter->kind, "refuses") == 0)
        return modbus_reply_exception(bus, query, MODBUS_EXCEPTION_GATEWAY_TARGET) > 0;
    memcpy(map->tab_registers, meter->registers, sizeof meter->registers);
    if (strcmp(meter->kind, "ffff") == 0)
        memset(map->tab_registers, 0xFF, sizeof meter->registers);
    return modbus_reply(bus, query, length, map) > 0;
}

int main(int argc, char **argv)
{
    modbus_t *bus = argc == 2 ? modbus_new_tcp("127.0.0.1", atoi(argv[1])) : NULL;
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);
    int door = bus ? modbus_tcp_listen(bus, 1) : -1, client = -1;
    if (bus == NULL || map == NULL || door < 0) {
        fprintf(stderr, "modbus_tcp_peer: %s\n", modbus_strerror(errno));
        return 2;
    }
    static char line[65536];
    setvbuf(stdin, NULL, _IONBF, 0);
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        struct pollfd watched[2] = {{client < 0 ? door : client, POLLIN, 0}, {0, POLLIN, 0}};
        if (poll(watched, 2, -1) < 0)
            continue;
        if (watched[1].revents != 0) {
            if (fgets(line, sizeof line, stdin) == NULL)
                return 0;
            take(line);
        }
        if (watched[0].revents == 0)
            continue;
        if (client < 0) {
            client = modbus_tcp_accept(bus, &door);
            continue;
        }
        uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
        int length = modbus_receive(bus, query);
        if (length < 0 || (length > 0 && !answer(bus, map, query, length))) {
            close(client);
            client = -1;
        }
    }
}
