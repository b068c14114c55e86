package texts

import (
	"unicode/utf16"

	"golang.org/x/sys/windows"
)

// FromConsole gives a text in UTF-8 that a program may have written in the code page of a
// console (CP_OEMCP), as batch files and most programs do that write into no window.
func FromConsole(text []byte) []byte {
	return decodeLines(text, func(line []byte) []byte { return fromCodePage(oemCodePage, line) })
}

// oemCodePage stands for that of consoles.
const oemCodePage = 1

// fromCodePage gives a text in UTF-8; as it is where this system has no such code page.
func fromCodePage(page uint32, text []byte) []byte {
	if len(text) == 0 {
		return text
	}
	n, err := windows.MultiByteToWideChar(page, 0, &text[0], int32(len(text)), nil, 0)
	if err != nil || n == 0 {
		return text
	}
	wide := make([]uint16, n)
	if n, err = windows.MultiByteToWideChar(page, 0, &text[0], int32(len(text)), &wide[0], n); err != nil || n == 0 {
		return text
	}
	return []byte(string(utf16.Decode(wide[:n]))) // with its NULs
}
