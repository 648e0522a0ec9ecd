# Writes a header with a 64-bit id of the INPUT file's content, so that the agent knows programs of its own build again.
file(SHA256 ${INPUT} hash)
string(SUBSTRING ${hash} 0 16 id)
file(WRITE ${OUTPUT} "#pragma once\n#define PINTLE_LIFECYCLE_OBJECT_ID 0x${id}ULL\n")
