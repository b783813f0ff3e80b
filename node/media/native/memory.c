/* How glibc keeps the memory that pictures come from. Elsewhere the allocator of the system stays as it is. */

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

void conclave_memory_tune(int arenas, int own_mapping_bytes) {
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, arenas);
    mallopt(M_MMAP_THRESHOLD, own_mapping_bytes);
#else
    (void)arenas;
    (void)own_mapping_bytes;
#endif
}
