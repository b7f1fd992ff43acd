/* SPDX-License-Identifier: MIT */
#include "monitor/access.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool np_access_token_is(const char *authorization, const char *token)
{
    static const char scheme[] = "Bearer ";
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *given = authorization + sizeof scheme - 1;
    while (*given == ' ')
        given++;
    size_t wanted_length = strlen(token), given_length = strlen(given);
    volatile unsigned char different = wanted_length != given_length;
    for (size_t i = 0; i < given_length; i++) {
        unsigned char wanted = (unsigned char)token[wanted_length > 0 ? i % wanted_length : 0];
        different = (unsigned char)(different | (wanted ^ (unsigned char)given[i]));
    }
    return different == 0;
}

bool np_access_host_is_local(const char *host)
{
    char name[64];
    struct in6_addr number;
    if (host == NULL) /* HTTP/1.0: no browser */
        return true;
    size_t length = strcspn(host, ":");
    if (host[0] == '[') {
        host++;
        length = strcspn(host, "]");
    }
    if (length >= sizeof name)
        return false;
    memcpy(name, host, length);
    name[length] = '\0';
    return length == 0 || strcasecmp(name, "localhost") == 0 ||
           inet_pton(AF_INET, name, &number) == 1 || inet_pton(AF_INET6, name, &number) == 1;
}

/* The weight of a media type in an Accept header, 0 to 1; 0 where it does not stand there. */
static double weight_of(const char *accept, const char *type)
{
    size_t length = strlen(type);
    double most = 0;
    while (*accept != '\0') {
        accept += strspn(accept, " \t,");
        size_t whole = strcspn(accept, ",");
        if (whole >= length && strncasecmp(accept, type, length) == 0 &&
            strchr(" \t;,", accept[length]) != NULL) {
            double weight = 1;
            for (const char *at = accept + length; at < accept + whole; at++)
                if (*at == ';' && strncasecmp(at + 1 + strspn(at + 1, " \t"), "q=", 2) == 0)
                    weight = strtod(at + 1 + strspn(at + 1, " \t") + 2, NULL);
            if (weight > most)
                most = weight;
        }
        accept += whole;
    }
    return most;
}

bool np_access_wants_open_metrics(const char *accept)
{
    if (accept == NULL)
        return false;
    double wanted = weight_of(accept, "application/openmetrics-text");
    return wanted > 0 && wanted >= weight_of(accept, "text/plain");
}
