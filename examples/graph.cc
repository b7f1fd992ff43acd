/* SPDX-License-Identifier: MIT
 *
 * C++: a graph of towns whose roads lead back, with a destructor that says when a town goes. */
#include <neap/neap.hpp>

#include <cstdio>

static int gone;

struct town {
    const char *name;
    neap::slot<town> road, ferry;

    explicit town(const char *given) noexcept : name(given)
    {
    }
    ~town()
    {
        std::printf("%s is gone\n", name);
        gone++;
    }
};
NEAP_TYPE(town, &town::road, &town::ferry);

static bool run()
{
    auto harbour = neap::make<town>("harbour");
    auto island = neap::make<town>("island");
    if (!harbour || !island)
        return false;
    harbour->ferry.set(island);
    island->ferry.set(harbour);
    island->road.set(island);
    neap::weak<town> watch(island);
    harbour = nullptr;
    if (neap_collect(2) != 0 || watch.lock() != island)
        return false; /* the island is held, and holds the harbour */
    island = nullptr;
    return neap_collect(2) == 2 && !watch.lock();
}

int main()
{
    if (neap_init(nullptr) != NEAP_OK)
        return 1;
    bool right = run();
    return neap_shutdown(nullptr) == 0 && right && gone == 2 ? 0 : 1;
}
