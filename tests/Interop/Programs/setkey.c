/* What setkey(8) does, as far as the tests ask: reads commands from its input, one a line, sends each to PF_KEY and prints what comes back.
 * Written against the kernel's header. Addresses are numeric, protocols and modes are numbers, keys are fixed. */
#include <arpa/inet.h>
#include <linux/ipsec.h>
#include <linux/pfkeyv2.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t buffer[2048];
static struct sadb_msg *const message = (struct sadb_msg *)buffer;
static unsigned sequence;
static int key_socket;

static void begin(int type, int satype)
{
    memset(buffer, 0, sizeof buffer);
    message->sadb_msg_version = PF_KEY_V2;
    message->sadb_msg_type = type;
    message->sadb_msg_satype = satype;
    message->sadb_msg_seq = ++sequence;
    message->sadb_msg_pid = getpid();
    message->sadb_msg_len = 2;
}

static void *extend(int type, size_t size)
{
    struct sadb_ext *extension = (struct sadb_ext *)(buffer + message->sadb_msg_len);
    extension->sadb_ext_type = type;
    extension->sadb_ext_len = (size + 7) / 8;
    message->sadb_msg_len += extension->sadb_ext_len;
    return extension;
}

static size_t parse(const char *text, void *to)
{
    struct sockaddr_in *four = to;
    struct sockaddr_in6 *six = to;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        return sizeof *four;
    }
    six->sin6_family = AF_INET6;
    if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
        exit(2);
    return sizeof *six;
}

/* ADDRESS/PREFIX, or an address alone. */
static void address(int type, char *text, int proto)
{
    struct sockaddr_in6 parsed = { 0 };
    char *slash = strchr(text, '/');
    if (slash)
        *slash = 0;
    size_t size = parse(text, &parsed);
    struct sadb_address *extension = extend(type, sizeof *extension + size);
    extension->sadb_address_proto = proto;
    extension->sadb_address_prefixlen = slash ? atoi(slash + 1) : size == sizeof parsed ? 128 : 32;
    memcpy(extension + 1, &parsed, size);
}

static void sa(uint32_t spi, int auth, int encrypt)
{
    struct sadb_sa *extension = extend(SADB_EXT_SA, sizeof *extension);
    extension->sadb_sa_spi = htonl(spi);
    extension->sadb_sa_replay = 32;
    extension->sadb_sa_state = SADB_SASTATE_MATURE;
    extension->sadb_sa_auth = auth;
    extension->sadb_sa_encrypt = encrypt;
}

static void key(int type, int bytes)
{
    struct sadb_key *extension = extend(type, sizeof *extension + bytes);
    extension->sadb_key_bits = bytes * 8;
    memset(extension + 1, 0x5a, bytes);
}

static void sa2(int mode, int reqid)
{
    struct sadb_x_sa2 *extension = extend(SADB_X_EXT_SA2, sizeof *extension);
    extension->sadb_x_sa2_mode = mode;
    extension->sadb_x_sa2_reqid = reqid;
}

static struct sadb_x_policy *policy(int type, int dir, uint32_t id)
{
    struct sadb_x_policy *extension = extend(SADB_X_EXT_POLICY, sizeof *extension);
    extension->sadb_x_policy_type = type;
    extension->sadb_x_policy_dir = dir;
    extension->sadb_x_policy_id = id;
    return extension;
}

/* Inside the policy extension, which is the last one: lengths are in octets here. */
static void request(struct sadb_x_policy *in, int proto, int mode, int level, int reqid, const char *from, const char *to)
{
    struct sadb_x_ipsecrequest *request = (void *)(buffer + message->sadb_msg_len);
    size_t size = sizeof *request;
    request->sadb_x_ipsecrequest_proto = proto;
    request->sadb_x_ipsecrequest_mode = mode;
    request->sadb_x_ipsecrequest_level = level;
    request->sadb_x_ipsecrequest_reqid = reqid;
    if (strcmp(from, "-")) {
        size += parse(from, (char *)request + size);
        size += parse(to, (char *)request + size);
    }
    request->sadb_x_ipsecrequest_len = size;
    in->sadb_x_policy_len += size / 8;
    message->sadb_msg_len += size / 8;
}

static void text_of(const void *bytes, char *text)
{
    const struct sockaddr_in *four = bytes;
    const struct sockaddr_in6 *six = bytes;
    if (four->sin_family == AF_INET)
        inet_ntop(AF_INET, &four->sin_addr, text, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, &six->sin6_addr, text, INET6_ADDRSTRLEN);
}

static void print(const struct sadb_msg *m)
{
    char text[INET6_ADDRSTRLEN];
    printf("type %d errno %d satype %d", m->sadb_msg_type, m->sadb_msg_errno, m->sadb_msg_satype);
    for (int at = 2; at < m->sadb_msg_len;) {
        const struct sadb_ext *e = (const void *)((const uint64_t *)m + at);
        if (!e->sadb_ext_len || at + e->sadb_ext_len > m->sadb_msg_len) {
            printf(" BROKEN");
            break;
        }
        switch (e->sadb_ext_type) {
        case SADB_EXT_SA: {
            const struct sadb_sa *s = (const void *)e;
            printf(" spi 0x%x state %d", ntohl(s->sadb_sa_spi), s->sadb_sa_state);
            break;
        }
        case SADB_EXT_ADDRESS_SRC:
        case SADB_EXT_ADDRESS_DST: {
            const struct sadb_address *a = (const void *)e;
            text_of(a + 1, text);
            printf(" %s %s/%d", e->sadb_ext_type == SADB_EXT_ADDRESS_SRC ? "src" : "dst", text, a->sadb_address_prefixlen);
            break;
        }
        case SADB_EXT_LIFETIME_CURRENT: {
            const struct sadb_lifetime *l = (const void *)e;
            printf(" packets %u", l->sadb_lifetime_allocations);
            break;
        }
        case SADB_X_EXT_SA2: {
            const struct sadb_x_sa2 *s = (const void *)e;
            printf(" mode %d reqid %u", s->sadb_x_sa2_mode, s->sadb_x_sa2_reqid);
            break;
        }
        case SADB_X_EXT_POLICY: {
            const struct sadb_x_policy *p = (const void *)e;
            printf(" policy %d dir %d id %u", p->sadb_x_policy_type, p->sadb_x_policy_dir, p->sadb_x_policy_id);
            for (size_t i = sizeof *p; i + sizeof(struct sadb_x_ipsecrequest) <= e->sadb_ext_len * 8u;) {
                const struct sadb_x_ipsecrequest *r = (const void *)((const char *)p + i);
                printf(" (%d %d %d %u", r->sadb_x_ipsecrequest_proto, r->sadb_x_ipsecrequest_mode, r->sadb_x_ipsecrequest_level, r->sadb_x_ipsecrequest_reqid);
                if (r->sadb_x_ipsecrequest_len > sizeof *r) {
                    text_of(r + 1, text);
                    printf(" %s", text);
                }
                printf(")");
                i += r->sadb_x_ipsecrequest_len ? r->sadb_x_ipsecrequest_len : 1 << 20;
            }
            break;
        }
        }
        at += e->sadb_ext_len;
    }
    printf("\n");
}

/* Prints what comes, until nothing has come for so long. */
static void listen_for(int milliseconds)
{
    struct pollfd ready = { .fd = key_socket, .events = POLLIN };
    while (poll(&ready, 1, milliseconds) == 1 && read(key_socket, buffer, sizeof buffer) >= (ssize_t)sizeof *message)
        print(message);
    printf(".\n");
    fflush(stdout);
}

/* Reads the answer: a dump's last record has number 0. */
static void ask(void)
{
    int type = message->sadb_msg_type;
    struct pollfd ready = { .fd = key_socket, .events = POLLIN };
    if (write(key_socket, buffer, message->sadb_msg_len * 8) < 0) {
        perror("write");
        exit(3);
    }
    for (;;) {
        if (poll(&ready, 1, 5000) != 1 || read(key_socket, buffer, sizeof buffer) < (ssize_t)sizeof *message)
            exit(4);
        print(message);
        if (message->sadb_msg_errno || (type != SADB_DUMP && type != SADB_X_SPDDUMP) || message->sadb_msg_seq == 0)
            break;
    }
    listen_for(100);
}

int main(void)
{
    char line[512], *word[16];
    setvbuf(stdout, NULL, _IOLBF, 0);
    key_socket = socket(PF_KEY, SOCK_RAW, PF_KEY_V2);
    if (key_socket < 0) {
        perror("socket");
        return 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        int words = 0;
        for (char *w = strtok(line, " \n"); w && words < 16; w = strtok(NULL, " \n"))
            word[words++] = w;
        if (!words)
            continue;
#define IS(name, count) (!strcmp(word[0], name) && words == 1 + (count))
        if (IS("add", 6) || IS("update", 6)) {          /* SRC DST SATYPE SPI MODE REQID */
            int satype = atoi(word[3]);
            begin(!strcmp(word[0], "add") ? SADB_ADD : SADB_UPDATE, satype);
            sa(strtoul(word[4], NULL, 0), satype == SADB_X_SATYPE_IPCOMP ? 0 : SADB_AALG_SHA1HMAC,
               satype == SADB_SATYPE_ESP ? SADB_X_EALG_AESCBC : satype == SADB_X_SATYPE_IPCOMP ? SADB_X_CALG_DEFLATE : 0);
            sa2(atoi(word[5]), atoi(word[6]));
            address(SADB_EXT_ADDRESS_SRC, word[1], 0);
            address(SADB_EXT_ADDRESS_DST, word[2], 0);
            if (satype != SADB_X_SATYPE_IPCOMP)
                key(SADB_EXT_KEY_AUTH, 20);
            if (satype == SADB_SATYPE_ESP)
                key(SADB_EXT_KEY_ENCRYPT, 16);
            ask();
        } else if (IS("get", 4) || IS("delete", 4)) {   /* SRC DST SATYPE SPI */
            begin(!strcmp(word[0], "get") ? SADB_GET : SADB_DELETE, atoi(word[3]));
            sa(strtoul(word[4], NULL, 0), 0, 0);
            address(SADB_EXT_ADDRESS_SRC, word[1], 0);
            address(SADB_EXT_ADDRESS_DST, word[2], 0);
            ask();
        } else if (IS("getspi", 5)) {                   /* SRC DST SATYPE MIN MAX */
            begin(SADB_GETSPI, atoi(word[3]));
            address(SADB_EXT_ADDRESS_SRC, word[1], 0);
            address(SADB_EXT_ADDRESS_DST, word[2], 0);
            struct sadb_spirange *range = extend(SADB_EXT_SPIRANGE, sizeof *range);
            range->sadb_spirange_min = strtoul(word[4], NULL, 0);
            range->sadb_spirange_max = strtoul(word[5], NULL, 0);
            ask();
        } else if (IS("spdadd", 10) || IS("spdupdate", 10)) { /* SRC/P DST/P DIR TYPE PROTO MODE LEVEL REQID FROM TO */
            begin(!strcmp(word[0], "spdadd") ? SADB_X_SPDADD : SADB_X_SPDUPDATE, 0);
            address(SADB_EXT_ADDRESS_SRC, word[1], 255);
            address(SADB_EXT_ADDRESS_DST, word[2], 255);
            struct sadb_x_policy *p = policy(atoi(word[4]), atoi(word[3]), 0);
            if (atoi(word[4]) == IPSEC_POLICY_IPSEC)
                request(p, atoi(word[5]), atoi(word[6]), atoi(word[7]), atoi(word[8]), word[9], word[10]);
            ask();
        } else if (IS("migrate", 11)) {                 /* SRC/P DST/P DIR PROTO MODE LEVEL REQID FROM TO NEWFROM NEWTO */
            begin(SADB_X_MIGRATE, 0);
            address(SADB_EXT_ADDRESS_SRC, word[1], 255);
            address(SADB_EXT_ADDRESS_DST, word[2], 255);
            struct sadb_x_policy *p = policy(IPSEC_POLICY_IPSEC, atoi(word[3]), 0);
            request(p, atoi(word[4]), atoi(word[5]), atoi(word[6]), atoi(word[7]), word[8], word[9]);
            request(p, atoi(word[4]), atoi(word[5]), atoi(word[6]), atoi(word[7]), word[10], word[11]);
            ask();
        } else if (IS("spddelete", 3)) {                /* SRC/P DST/P DIR */
            begin(SADB_X_SPDDELETE, 0);
            address(SADB_EXT_ADDRESS_SRC, word[1], 255);
            address(SADB_EXT_ADDRESS_DST, word[2], 255);
            policy(0, atoi(word[3]), 0);
            ask();
        } else if (IS("spdget", 1) || IS("spddelete2", 1)) {
            begin(!strcmp(word[0], "spdget") ? SADB_X_SPDGET : SADB_X_SPDDELETE2, 0);
            policy(0, 0, strtoul(word[1], NULL, 0));
            ask();
        } else if (IS("register", 1)) {
            begin(SADB_REGISTER, atoi(word[1]));
            ask();
        } else if (IS("dump", 1) || IS("flush", 1) || IS("promisc", 1)) {
            begin(word[0][0] == 'd' ? SADB_DUMP : word[0][0] == 'f' ? SADB_FLUSH : SADB_X_PROMISC, atoi(word[1]));
            ask();
        } else if (IS("spddump", 0) || IS("spdflush", 0)) {
            begin(!strcmp(word[0], "spddump") ? SADB_X_SPDDUMP : SADB_X_SPDFLUSH, 0);
            ask();
        } else if (IS("listen", 1)) {
            listen_for(atoi(word[1]));
        } else {
            return 5;
        }
    }
    return 0;
}
