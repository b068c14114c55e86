/*
 * What Go's runtime and library want of Windows and Wine 8.0 lacks (Debian 12 has no
 * newer one). Each Go program loads this library first of all.
 */
#include <winsock2.h>
#include <windows.h>
#include <winternl.h>
#include <ntsecapi.h>
#include <stdint.h>
#include <string.h>

#define NOT_IN_WINE 0xC0000003 /* STATUS_INVALID_INFO_CLASS */

static NTSTATUS(NTAPI *set_information)(HANDLE, PIO_STATUS_BLOCK, PVOID, ULONG, FILE_INFORMATION_CLASS);
static int(WSAAPI *ioctl)(SOCKET, DWORD, LPVOID, DWORD, LPVOID, DWORD, LPDWORD, LPWSAOVERLAPPED, LPWSAOVERLAPPED_COMPLETION_ROUTINE);

/*
 * FileDispositionInformationEx is refused as a Windows does that has it not. Wine says
 * that the whole function is missing, and os.RemoveAll gives up.
 */
static NTSTATUS NTAPI set_information_or_not(HANDLE file, PIO_STATUS_BLOCK status, PVOID data, ULONG size, FILE_INFORMATION_CLASS class) {
	if (class == 64) {
		return NOT_IN_WINE;
	}
	return set_information(file, status, data, size, class);
}

/*
 * SIO_UDP_NETRESET, without which the net package makes no UDP socket: Wine's never
 * tell of what it turns off.
 */
static int WSAAPI ioctl_and_netreset(SOCKET s, DWORD code, LPVOID in, DWORD in_size, LPVOID out, DWORD out_size, LPDWORD size,
		LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE done) {
	if (code == _WSAIOW(IOC_VENDOR, 15)) {
		*size = 0;
		return 0;
	}
	return ioctl(s, code, in, in_size, out, out_size, size, overlapped, done);
}

/* Code that jumps to a function, after a library: where its table of exports can point to. */
static BYTE *jump_after(BYTE *library, void *to) {
	const BYTE jump[] = {0xff, 0x25, 0, 0, 0, 0}; /* to the address that follows */
	for (intptr_t away = 1 << 24; away < INT32_MAX; away += 1 << 16) {
		BYTE *at = VirtualAlloc(library + away, sizeof jump + sizeof to, MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE);
		if (at) {
			memcpy(at, jump, sizeof jump);
			memcpy(at + sizeof jump, &to, sizeof to);
			return at;
		}
	}
	return NULL;
}

/* Whoever asks a library for a function from now on is given another one; the result is the old one. */
static void *replace(const char *name, const char *function, void *by) {
	BYTE *library = (BYTE *)LoadLibraryA(name);
	if (!library) {
		return NULL;
	}
	IMAGE_NT_HEADERS *headers = (IMAGE_NT_HEADERS *)(library + ((IMAGE_DOS_HEADER *)library)->e_lfanew);
	IMAGE_EXPORT_DIRECTORY *exports = (IMAGE_EXPORT_DIRECTORY *)(library + headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT].VirtualAddress);
	DWORD *names = (DWORD *)(library + exports->AddressOfNames), *functions = (DWORD *)(library + exports->AddressOfFunctions);
	WORD *ordinals = (WORD *)(library + exports->AddressOfNameOrdinals);
	for (DWORD i = 0; i < exports->NumberOfNames; i++) {
		if (strcmp((char *)library + names[i], function) != 0) {
			continue;
		}
		DWORD *entry = &functions[ordinals[i]], before;
		void *old = library + *entry;
		BYTE *jump = jump_after(library, by);
		if (!jump || !VirtualProtect(entry, sizeof *entry, PAGE_READWRITE, &before)) {
			return NULL;
		}
		*entry = (DWORD)(jump - library);
		VirtualProtect(entry, sizeof *entry, before, &before);
		return old;
	}
	return NULL;
}

/* Go's runtime calls it once at the beginning, before anything else of the program runs. */
static void mend(void) {
	static BOOL mended;
	if (!mended) {
		mended = TRUE;
		set_information = replace("ntdll.dll", "NtSetInformationFile", set_information_or_not);
		ioctl = replace("ws2_32.dll", "WSAIoctl", ioctl_and_netreset);
	}
}

/* By a function that is older; Wine has the library since 9.0. */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
	const ULONG most = 1 << 28; /* RtlGenRandom's length has 32 bits */
	mend();
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
