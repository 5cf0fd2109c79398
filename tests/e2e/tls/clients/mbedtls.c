/* mbedTLS with TLS 1.2: PORT VERSION CA CERT KEY CLIENT. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include "mqtt.h"

static mbedtls_ssl_context ssl;

static int say(const void *bytes, size_t length) {
    size_t sent = 0;
    while (sent < length) {
        int wrote = mbedtls_ssl_write(&ssl, (const unsigned char *)bytes + sent, length - sent);
        if (wrote <= 0) return wrote;
        sent += wrote;
    }
    return sent;
}
static int hear(void *bytes, size_t length) { return mbedtls_ssl_read(&ssl, bytes, length); }

int main(int count, char **args) {
    mbedtls_ssl_config config;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt ca, cert;
    mbedtls_pk_context key;
    mbedtls_net_context net;
    if (count != 7) return 2;
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&config);
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_x509_crt_init(&ca);
    mbedtls_x509_crt_init(&cert);
    mbedtls_pk_init(&key);
    if (mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0)) fail("random", 0);
    if (mbedtls_x509_crt_parse_file(&ca, args[3])) fail("ca", 0);
    if (mbedtls_x509_crt_parse_file(&cert, args[4])) fail("certificate", 0);
    if (mbedtls_pk_parse_keyfile(&key, args[5], NULL)) fail("key", 0);
    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    mbedtls_ssl_conf_ca_chain(&config, &ca, NULL);
    mbedtls_ssl_conf_own_cert(&config, &cert, &key);
    mbedtls_ssl_setup(&ssl, &config);
    mbedtls_ssl_set_hostname(&ssl, "localhost");
    net.fd = dial(args[1]);
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    int shaken = mbedtls_ssl_handshake(&ssl);
    if (shaken) fail("handshake", shaken);
    talk(args[6]);
    mbedtls_ssl_close_notify(&ssl);
    return 0;
}
