/* SPDX-License-Identifier: MIT
 *
 * A pipeline of three threads: one makes orders, one prices them, one adds them up. The channels
 * between them hold eight orders at most, so nobody runs ahead, and each order belongs to the
 * thread that works on it. */
#include <neap/neap.h>
#include <stdio.h>

enum { ORDERS = 1000 };

struct order {
    long pieces, price;
};
NEAP_DEFINE_TYPE(order, ());

static struct neap_channel *ordered, *priced; /* held by main for the whole run */

static void *take_orders(void *unused)
{
    for (long i = 1; i <= ORDERS; i++) {
        struct order *order = neap_new(order);
        if (order == NULL)
            break;
        order->pieces = i;
        neap_channel_send(ordered, order);
    }
    neap_channel_close(ordered);
    return unused;
}

static void *price_orders(void *unused)
{
    struct order *order;
    while ((order = neap_channel_receive(ordered)) != NULL) {
        order->price = 3 * order->pieces;
        neap_channel_send(priced, order);
    }
    neap_channel_close(priced);
    return unused;
}

static long add_up(void)
{
    long sum = 0;
    struct order *order;
    while ((order = neap_channel_receive(priced)) != NULL) {
        sum += order->price;
        neap_release(order);
    }
    return sum;
}

int main(void)
{
    pthread_t taker, pricer;
    if (neap_init(NULL) != NEAP_OK)
        return 1;
    ordered = neap_channel_new(8);
    priced = neap_channel_new(8);
    if (ordered == NULL || priced == NULL ||
        neap_thread_create(&taker, "taker", take_orders, NULL) != NEAP_OK ||
        neap_thread_create(&pricer, "pricer", price_orders, NULL) != NEAP_OK)
        return 1;
    long sum = add_up();
    neap_thread_join(taker, NULL);
    neap_thread_join(pricer, NULL);
    neap_release(ordered);
    neap_release(priced);
    printf("%d orders: %ld\n", ORDERS, sum);
    return neap_shutdown(NULL) == 0 && sum == 3L * ORDERS * (ORDERS + 1) / 2 ? 0 : 1;
}
