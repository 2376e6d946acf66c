/* A bus of meters that is not pymodbus: libmodbus behind one serial port, with every fault that a wire knows.
 *
 *   modbus_peer PORT BAUD DRAWN
 *
 * It reads the meters from standard input, one a line, and answers for them for ever:
 *
 *   UNIT KIND [REGISTER=VALUE ...]
 *
 * KIND is good, dead, slow (answers after 0.7 s), crc (a wrong checksum), other (answers as unit + 1), echo
 * (the request comes back before the answer), noise (bytes before the answer), refuses (exception 4), short
 * (an answer that breaks off), ffff. A line for a unit that exists replaces it; `end` ends the program.
 * A pty imposes no time: with BAUD > 0 each answer comes when a wire of 11 bits a character would have
 * brought it. DRAWN is a file for the number of answers given so far, or '-'.
 */
#include <errno.h>
#include <fcntl.h>
#include <modbus.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { UNITS = 248, REGISTERS = 4096 };

struct meter {
    char kind[16];
    uint16_t registers[REGISTERS];
};

static struct meter *meters[UNITS];
static double character; /* seconds */

static void wait_for(double seconds)
{
    struct timespec rest = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&rest, &rest) == -1 && errno == EINTR) {
    }
}

static void take(char *line)
{
    char *word = strtok(line, " \n");
    if (word == NULL)
        return;
    if (strcmp(word, "end") == 0)
        exit(0);
    int unit = atoi(word);
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

static uint16_t checksum(const uint8_t *data, int size)
{
    uint16_t crc = 0xFFFF;
    for (int at = 0; at < size; at++) {
        crc ^= data[at];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (uint16_t)(crc >> 1 ^ 0xA001) : (uint16_t)(crc >> 1);
    }
    return crc;
}

/* The faults are written by hand: libmodbus makes no wrong frames. */
static void by_hand(int port, struct meter *meter, const uint8_t *query, int as_unit, int spoil)
{
    int address = query[2] << 8 | query[3], count = query[4] << 8 | query[5], size = 3 + 2 * count;
    uint8_t frame[MODBUS_RTU_MAX_ADU_LENGTH] = {(uint8_t)as_unit, query[1], (uint8_t)(2 * count)};
    for (int place = 0; place < count; place++) {
        frame[3 + 2 * place] = (uint8_t)(meter->registers[(address + place) % REGISTERS] >> 8);
        frame[4 + 2 * place] = (uint8_t)meter->registers[(address + place) % REGISTERS];
    }
    uint16_t crc = checksum(frame, size);
    frame[size] = (uint8_t)crc ^ (spoil ? 0x5A : 0);
    frame[size + 1] = (uint8_t)(crc >> 8);
    if (write(port, frame, (size_t)size + 2) < 0)
        perror("write");
}

static void answer(modbus_t *bus, modbus_mapping_t *map, const uint8_t *query, int length)
{
    struct meter *meter = meters[query[0]];
    int port = modbus_get_socket(bus), count = query[4] << 8 | query[5];
    if (meter == NULL || strcmp(meter->kind, "dead") == 0)
        return;
    wait_for(character * (length + 3.5 + 5 + 2 * count));
    const char *kind = meter->kind;
    if (strcmp(kind, "slow") == 0)
        wait_for(0.7);
    if (strcmp(kind, "echo") == 0 && write(port, query, (size_t)length) < 0)
        perror("write");
    if (strcmp(kind, "noise") == 0 && write(port, "\x00\xff\x00", 3) < 0)
        perror("write");
    if (strcmp(kind, "crc") == 0) {
        by_hand(port, meter, query, query[0], 1);
    } else if (strcmp(kind, "other") == 0) {
        by_hand(port, meter, query, query[0] + 1, 0);
    } else if (strcmp(kind, "short") == 0) {
        if (write(port, query, 3) < 0)
            perror("write");
    } else if (strcmp(kind, "refuses") == 0) {
        modbus_reply_exception(bus, query, MODBUS_EXCEPTION_SLAVE_OR_SERVER_FAILURE);
    } else {
        if (strcmp(kind, "ffff") == 0)
            memset(map->tab_registers, 0xFF, REGISTERS * sizeof(uint16_t));
        else
            memcpy(map->tab_registers, meter->registers, sizeof meter->registers);
        memcpy(map->tab_input_registers, map->tab_registers, sizeof meter->registers);
        modbus_reply(bus, query, length, map);
    }
}

/* libmodbus listens to one unit; this bus has many. So the request is taken here (eight bytes: unit, function,
 * register, count, checksum) and given to libmodbus with its unit set, which checks it and builds the answer. */
static int request(int port, uint8_t *query)
{
    int length = 0;
    while (length < 8) {
        ssize_t got = read(port, query + length, (size_t)(8 - length));
        if (got <= 0)
            return 0;
        length += (int)got;
    }
    return checksum(query, 6) == (query[6] | query[7] << 8) ? length : 0;
}

static void count(const char *drawn, long answered)
{
    FILE *file = strcmp(drawn, "-") == 0 ? NULL : fopen(drawn, "w");
    if (file != NULL) {
        fprintf(file, "%ld\n", answered);
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: modbus_peer PORT BAUD DRAWN\n");
        return 2;
    }
    int baud = atoi(argv[2]);
    character = baud > 0 ? 11.0 / baud : 0.0;
    modbus_t *bus = modbus_new_rtu(argv[1], baud > 0 ? baud : 9600, 'N', 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);
    if (bus == NULL || map == NULL || modbus_connect(bus) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], modbus_strerror(errno));
        return 2;
    }
    setvbuf(stdin, NULL, _IONBF, 0);
    int port = modbus_get_socket(bus);
    fcntl(port, F_SETFL, fcntl(port, F_GETFL) & ~O_NONBLOCK);
    struct pollfd watched[2] = {{port, POLLIN, 0}, {0, POLLIN, 0}};
    static char line[65536];
    uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
    printf("listening\n");
    fflush(stdout);
    for (long answered = 0;;) {
        if (poll(watched, 2, -1) < 0)
            continue;
        if (watched[1].revents != 0) {
            if (fgets(line, sizeof line, stdin) == NULL)
                return 0;
            take(line);
        }
        if (watched[0].revents & POLLIN) {
            int length = request(port, query);
            if (length > 0 && meters[query[0]] != NULL) {
                modbus_set_slave(bus, query[0]);
                answer(bus, map, query, length);
                count(argv[3], ++answered);
            }
        } else if (watched[0].revents != 0) {
            return 0; /* unplugged */
        }
    }
}
