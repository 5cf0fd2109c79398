/* wolfSSL: PORT VERSION CA CERT KEY CLIENT, where VERSION is 2 or 3. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include "mqtt.h"

static WOLFSSL *ssl;

static int say(const void *bytes, size_t length) { return wolfSSL_write(ssl, bytes, length); }
static int hear(void *bytes, size_t length) {
    int read = wolfSSL_read(ssl, bytes, length);
    return read > 0 ? read : wolfSSL_get_error(ssl, read);
}

int main(int count, char **args) {
    if (count != 7) return 2;
    wolfSSL_Init();
    WOLFSSL_CTX *context = wolfSSL_CTX_new(args[2][0] == '3' ? wolfTLSv1_3_client_method() : wolfTLSv1_2_client_method());
    if (wolfSSL_CTX_load_verify_locations(context, args[3], NULL) != SSL_SUCCESS) fail("ca", 0);
    if (wolfSSL_CTX_use_certificate_file(context, args[4], SSL_FILETYPE_PEM) != SSL_SUCCESS) fail("certificate", 0);
    if (wolfSSL_CTX_use_PrivateKey_file(context, args[5], SSL_FILETYPE_PEM) != SSL_SUCCESS) fail("key", 0);
    ssl = wolfSSL_new(context);
    wolfSSL_check_domain_name(ssl, "localhost");
    wolfSSL_set_fd(ssl, dial(args[1]));
    if (wolfSSL_connect(ssl) != SSL_SUCCESS) fail("handshake", wolfSSL_get_error(ssl, 0));
    talk(args[6]);
    wolfSSL_shutdown(ssl);
    return 0;
}
