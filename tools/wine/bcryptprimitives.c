/*
 * The one function that Go's runtime wants of this library (since Go 1.22), by one
 * that is older. Wine has the library since 9.0; Debian 12 has Wine 8.0.
 */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
	const ULONG most = 1 << 28; /* RtlGenRandom's length has 32 bits */
	while (size > 0) {
		ULONG n = size > most ? most : (ULONG)size;
		if (!RtlGenRandom(data, n)) {
			return FALSE;
		}
		data += n;
		size -= n;
	}
	return TRUE;
}
