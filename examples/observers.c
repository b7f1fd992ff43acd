/* SPDX-License-Identifier: MIT
 *
 * Observers: a sensor tells who listens, and keeps no listener alive. Those that are gone are
 * forgotten the next time it speaks. */
#include <neap/neap.h>
#include <stdio.h>

struct listener {
    const char *name;
    int heard;
};
NEAP_DEFINE_TYPE(listener, ());

struct sensor {
    struct neap_list *listeners; /* of weak references */
};
NEAP_DEFINE_TYPE(sensor, (listeners));

static struct listener *listen_to(struct sensor *sensor, const char *name)
{
    struct listener *listener = neap_new(listener);
    NEAP_AUTO struct neap_weak *weak = neap_weak_new(listener);
    listener->name = name;
    (void)neap_list_append(sensor->listeners, weak);
    return listener;
}

/* Returns how many heard it. */
static int speak(struct sensor *sensor)
{
    int heard = 0;
    for (size_t i = 0; i < neap_list_length(sensor->listeners);) {
        NEAP_AUTO struct neap_weak *weak = neap_list_get(sensor->listeners, i);
        NEAP_AUTO struct listener *listener = neap_weak_get(weak);
        if (listener == NULL) {
            neap_release(neap_list_remove(sensor->listeners, i));
            continue;
        }
        printf("%s hears it\n", listener->name);
        listener->heard++;
        heard++;
        i++;
    }
    return heard;
}

static int run(void)
{
    NEAP_AUTO struct sensor *sensor = neap_new(sensor);
    neap_give(&sensor->listeners, neap_list_new());
    struct listener *gull = listen_to(sensor, "gull"), *tern = listen_to(sensor, "tern");
    int heard = speak(sensor);
    neap_release(gull);
    heard = heard * 10 + speak(sensor);
    neap_release(tern);
    return heard * 10 + speak(sensor);
}

int main(void)
{
    if (neap_init(NULL) != NEAP_OK)
        return 1;
    int heard = run();
    return neap_shutdown(NULL) == 0 && heard == 210 ? 0 : 1;
}
