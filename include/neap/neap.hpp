/* SPDX-License-Identifier: MIT
 *
 * neap for C++17: references that count themselves, slots as members, scopes by destructors. Header
 * only; nothing here throws, and no exception may leave a destructor or a finalizer.
 *
 *     struct session {
 *         neap::slot<session> next;
 *         neap::atomic_slot<route> current;
 *         int fd = -1;
 *         ~session() { destroy(fd); }
 *     };
 *     NEAP_TYPE(session, &session::next, &session::current);
 *
 *     neap::ref<session> s = neap::make<session>();      one reference; empty: out of memory
 *     s->next.set(s);
 *     neap::weak<session> watch(s);
 *
 * The destructor of a struct is its dispose: it runs once, while every slot still points to intact
 * memory, and releases no slot, which the runtime does afterwards. A member `void finalize()` is
 * its finalizer. Types defined in C are used as they are: neap::ref<neap_string>.
 */
#ifndef NEAP_NEAP_HPP
#define NEAP_NEAP_HPP

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include <neap/neap.h>

namespace neap
{

/* A counted reference, or none. To move it costs nothing, to copy it a retain. */
template <class T> class ref
{
  public:
    constexpr ref() noexcept = default;
    constexpr ref(std::nullptr_t) noexcept
    {
    }
    ref(const ref &other) noexcept : object(other.object)
    {
        neap_object_retain(object);
    }
    ref(ref &&other) noexcept : object(std::exchange(other.object, nullptr))
    {
    }
    ~ref()
    {
        neap_object_release(object);
    }

    ref &operator=(ref other) noexcept
    {
        std::swap(object, other.object);
        return *this;
    }

    /* The caller's reference becomes this one's. */
    static ref take(T *object) noexcept
    {
        ref taken;
        taken.object = object;
        return taken;
    }

    /* A reference of its own to an object that the caller keeps alive. */
    static ref share(T *object) noexcept
    {
        neap_object_retain(object);
        return take(object);
    }

    /* The reference becomes the caller's; this one is empty. */
    [[nodiscard]] T *release() noexcept
    {
        return std::exchange(object, nullptr);
    }

    T *get() const noexcept
    {
        return object;
    }
    T *operator->() const noexcept
    {
        return object;
    }
    T &operator*() const noexcept
    {
        return *object;
    }
    explicit operator bool() const noexcept
    {
        return object != nullptr;
    }

    friend bool operator==(const ref &a, const ref &b) noexcept
    {
        return a.object == b.object;
    }
    friend bool operator!=(const ref &a, const ref &b) noexcept
    {
        return a.object != b.object;
    }

  private:
    T *object = nullptr;
};

/* A plain slot of a struct: one thread's, or under the program's lock. */
template <class T> class slot
{
  public:
    slot() noexcept = default;
    slot(const slot &) = delete;
    slot &operator=(const slot &) = delete;

    ref<T> get() noexcept
    {
        return ref<T>::take(static_cast<T *>(neap_slot_get(&object)));
    }
    void set(const ref<T> &value) noexcept
    {
        neap_slot_set(&object, value.get());
    }
    void set(ref<T> &&value) noexcept
    {
        neap_slot_give(&object, value.release());
    }
    ref<T> take() noexcept
    {
        return ref<T>::take(static_cast<T *>(neap_slot_take(&object)));
    }
    void clear() noexcept
    {
        neap_slot_give(&object, nullptr);
    }

    /* Borrowed while the slot keeps its value. */
    T *operator->() const noexcept
    {
        return object;
    }
    explicit operator bool() const noexcept
    {
        return object != nullptr;
    }

    static constexpr unsigned kind = NEAP_SLOT_PLAIN;

  private:
    T *object = nullptr;
};

/* A slot that any thread reads and writes at any time. */
template <class T> class atomic_slot
{
  public:
    atomic_slot() noexcept = default;
    atomic_slot(const atomic_slot &) = delete;
    atomic_slot &operator=(const atomic_slot &) = delete;

    ref<T> load() noexcept
    {
        return ref<T>::take(static_cast<T *>(neap_slot_load(&object)));
    }
    void store(const ref<T> &value) noexcept
    {
        neap_slot_store(&object, value.get());
    }
    ref<T> exchange(const ref<T> &value) noexcept
    {
        return ref<T>::take(static_cast<T *>(neap_slot_exchange(&object, value.get())));
    }
    bool compare_exchange(const ref<T> &expected, const ref<T> &desired) noexcept
    {
        return neap_slot_compare_exchange(&object, expected.get(), desired.get());
    }

    /* As neap_peek: for NEAP_PEEKABLE types, until this thread's next quiescent point. */
    T *peek() noexcept
    {
        return static_cast<T *>(neap_slot_peek(&object));
    }

    static constexpr unsigned kind = NEAP_SLOT_ATOMIC;

  private:
    T *object = nullptr;
};

/* A weak reference, or none. */
template <class T> class weak
{
  public:
    weak() noexcept = default;
    explicit weak(const ref<T> &object) noexcept
        : reference(object ? ref<neap_weak>::take(neap_weak_new(object.get())) : nullptr)
    {
    }

    /* The object, while it lives. */
    ref<T> lock() const noexcept
    {
        if (!reference)
            return nullptr;
        return ref<T>::take(static_cast<T *>(neap_weak_get(reference.get())));
    }

    /* False: never set, or there was no memory for it. */
    explicit operator bool() const noexcept
    {
        return static_cast<bool>(reference);
    }

  private:
    ref<neap_weak> reference;
};

/* The calling thread is attached while it lives; status() says whether that worked. */
class attach_guard
{
  public:
    explicit attach_guard(const char *name = nullptr) noexcept : result(neap_thread_attach(name))
    {
    }
    attach_guard(const attach_guard &) = delete;
    attach_guard &operator=(const attach_guard &) = delete;
    ~attach_guard()
    {
        if (result == NEAP_OK)
            neap_thread_detach();
    }
    int status() const noexcept
    {
        return result;
    }

  private:
    int result;
};

/* A blocking region while it lives: no object, slot or weak call inside. */
class blocking_region
{
  public:
    blocking_region() noexcept
    {
        neap_blocking_enter();
    }
    blocking_region(const blocking_region &) = delete;
    blocking_region &operator=(const blocking_region &) = delete;
    ~blocking_region()
    {
        neap_blocking_leave();
    }
};

/* ---- types ---- */

namespace detail
{

template <class T, class = void> struct finalizer {
    static constexpr void (*function)(void *) = nullptr;
};
template <class T> struct finalizer<T, std::void_t<decltype(std::declval<T &>().finalize())>> {
    static void function(void *self) noexcept
    {
        static_cast<T *>(self)->finalize();
    }
};

template <class T> void dispose(void *self) noexcept
{
    static_cast<T *>(self)->~T();
}

template <class T, class Member> neap_slot slot_at(Member T::*member) noexcept
{
    static_assert(sizeof(Member) == sizeof(void *), "a slot is one pointer");
    alignas(T) static unsigned char place[sizeof(T)];
    const auto *start =
        reinterpret_cast<const unsigned char *>(&(reinterpret_cast<T *>(place)->*member));
    return {static_cast<uint32_t>(start - place), 1, Member::kind};
}

/* The descriptor, made by the first call. */
template <class T, auto... Slots> const neap_type *define(const char *name, unsigned flags) noexcept
{
    static const neap_type *const type = [name, flags]() noexcept {
        const neap_slot slots[] = {slot_at<T>(Slots)..., {0, 0, 0}};
        neap_type_spec spec = {};
        spec.struct_size = sizeof spec;
        spec.name = name;
        spec.size = sizeof(T);
        spec.alignment = alignof(T);
        spec.slots = slots;
        spec.slot_count = sizeof...(Slots);
        if (!std::is_trivially_destructible_v<T>)
            spec.dispose = dispose<T>;
        spec.finalize = finalizer<T>::function;
        spec.flags = flags;
        return neap_type_create(&spec);
    }();
    return type;
}

} // namespace detail

/* Specialised by NEAP_TYPE. */
template <class T> struct type;

/* A new T, constructed from the arguments; empty: out of memory. */
template <class T, class... Arguments> ref<T> make(Arguments &&...arguments) noexcept
{
    static_assert(std::is_nothrow_constructible_v<T, Arguments...>,
                  "a constructor of an object must not throw: declare it noexcept");
    const neap_type *descriptor = type<T>::get();
    void *object = descriptor != nullptr ? neap_object_new(descriptor, 0) : nullptr;
    if (object == nullptr)
        return nullptr;
    return ref<T>::take(::new (object) T(std::forward<Arguments>(arguments)...));
}

/* Is the object a T? */
template <class T> bool is(const void *object) noexcept
{
    return object != nullptr && neap_type_of(object) == type<T>::get();
}

} // namespace neap

/* NEAP_TYPE(T, &T::slot, ...); at file scope, outside of namespaces: the type of struct T and its
 * slots. NEAP_TYPE_FLAGS(T, flags, ...) adds flags. */
#define NEAP_TYPE(...)             NEAP_TYPE_FLAGS_0_(__VA_ARGS__)
#define NEAP_TYPE_FLAGS_0_(T, ...) NEAP_TYPE_FLAGS(T, 0u __VA_OPT__(, ) __VA_ARGS__)
#define NEAP_TYPE_FLAGS(T, flags, ...) \
    template <> struct neap::type<T> { \
        static const neap_type *get() noexcept \
        { \
            return neap::detail::define<T __VA_OPT__(, ) __VA_ARGS__>(#T, flags); \
        } \
    }

#endif
