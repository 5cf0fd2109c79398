/* BearSSL with TLS 1.2 and the buffer of a small device, of 512 bytes a record: PORT VERSION CA CERT KEY CLIENT. */
#include <bearssl.h>
#include "mqtt.h"

static br_ssl_client_context client;
static br_x509_minimal_context verifier;
static br_sslio_context io;
/* Both directions share it, as on an ESP8266. */
static unsigned char buffer[512 + 325 + 85];
static unsigned char names[1024], der[8192];
static size_t named, length;

static int say(const void *bytes, size_t count) {
    if (br_sslio_write_all(&io, bytes, count) || br_sslio_flush(&io)) return -br_ssl_engine_last_error(&client.eng);
    return count;
}
static int hear(void *bytes, size_t count) {
    int read = br_sslio_read(&io, bytes, count);
    return read > 0 ? read : -br_ssl_engine_last_error(&client.eng);
}

static int from_socket(void *fd, unsigned char *bytes, size_t count) {
    ssize_t got = read(*(int *)fd, bytes, count);
    return got > 0 ? (int)got : -1;
}
static int to_socket(void *fd, const unsigned char *bytes, size_t count) {
    ssize_t sent = write(*(int *)fd, bytes, count);
    return sent > 0 ? (int)sent : -1;
}

static void add(void *unused, const void *bytes, size_t count) {
    (void)unused;
    if (length + count > sizeof der) fail("too long", (int)count);
    memcpy(der + length, bytes, count);
    length += count;
}
static void name(void *unused, const void *bytes, size_t count) {
    (void)unused;
    if (named + count > sizeof names) fail("a long name", (int)count);
    memcpy(names + named, bytes, count);
    named += count;
}

/* The first section of a PEM file, into `der`. */
static void load(const char *path) {
    static char text[16384];
    FILE *file = fopen(path, "r");
    if (!file) fail(path, 0);
    size_t rest = fread(text, 1, sizeof text, file), at = 0;
    fclose(file);
    br_pem_decoder_context pem;
    br_pem_decoder_init(&pem);
    length = 0;
    while (at < rest) {
        at += br_pem_decoder_push(&pem, text + at, rest - at);
        switch (br_pem_decoder_event(&pem)) {
        case BR_PEM_BEGIN_OBJ: br_pem_decoder_setdest(&pem, add, NULL); break;
        case BR_PEM_END_OBJ: return;
        case BR_PEM_ERROR: fail(path, 1);
        }
    }
    fail(path, 2);
}

int main(int count, char **args) {
    if (count != 7) return 2;
    br_x509_decoder_context ca;
    load(args[3]);
    br_x509_decoder_init(&ca, name, NULL);
    br_x509_decoder_push(&ca, der, length);
    br_x509_pkey *signer = br_x509_decoder_get_pkey(&ca);
    if (!signer) fail("ca", br_x509_decoder_last_error(&ca));
    br_x509_trust_anchor anchor = {{names, named}, BR_X509_TA_CA, *signer};
    br_ssl_client_init_full(&client, &verifier, &anchor, 1);

    static unsigned char certificate[8192];
    load(args[4]);
    memcpy(certificate, der, length);
    br_x509_certificate chain = {certificate, length};
    br_skey_decoder_context key;
    load(args[5]);
    br_skey_decoder_init(&key);
    br_skey_decoder_push(&key, der, length);
    const br_ec_private_key *own = br_skey_decoder_get_ec(&key);
    if (!own) fail("key", br_skey_decoder_last_error(&key));
    br_ssl_client_set_single_ec(&client, &chain, 1, own, BR_KEYTYPE_SIGN, BR_KEYTYPE_EC, br_ec_get_default(), br_ecdsa_sign_asn1_get_default());

    br_ssl_engine_set_buffer(&client.eng, buffer, sizeof buffer, 0);
    br_ssl_client_reset(&client, "localhost", 0);
    int fd = dial(args[1]);
    br_sslio_init(&io, &client.eng, from_socket, &fd, to_socket, &fd);
    talk(args[6]);
    br_sslio_close(&io);
    return 0;
}
