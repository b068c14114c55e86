package config

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"

	"scriptbridge/internal/fsx"
)

// Fingerprint tells apart what is made of parts of a configuration, and of what
// files hold: where it is the same, a reload leaves alone what is at work. It
// reads the files, which takes as long as the disk, or the network, takes. Empty
// names are left out, and one that stands for a variable is its value.
func Fingerprint(files []string, parts ...any) string {
	var written []byte
	for _, file := range files {
		if name, ok := variableOf(file); ok {
			written = fmt.Appendf(written, "%q %q\n", name, os.Getenv(name))
		}
	}
	digest := fsx.Digest(slices.DeleteFunc(slices.Clone(files), func(file string) bool { return !IsFile(file) })...)
	written = append(written, digest[:]...)
	for _, part := range parts {
		written = appendAll(written, reflect.ValueOf(part), true)
	}
	return fmt.Sprintf("%x", sha256.Sum256(written))
}

// appendAll writes a value with all that it points to, unexported fields too, and no
// address. No two values are written alike. typed has its type in front, where the
// place does not say it. What points to itself is not for it. A field with the tag
// fingerprint:"-" is left out: it is made of others.
func appendAll(b []byte, v reflect.Value, typed bool) []byte {
	if !v.IsValid() {
		return append(b, '-')
	}
	if typed {
		b = appendText(b, v.Type().String())
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(b, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return binary.AppendUvarint(b, v.Uint())
	case reflect.Float32, reflect.Float64:
		return binary.BigEndian.AppendUint64(b, math.Float64bits(v.Float()))
	case reflect.String:
		return appendText(b, v.String())
	case reflect.Array:
		return appendItems(b, v)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("fingerprint") != "-" {
				b = appendAll(b, v.Field(i), false)
			}
		}
		return b
	case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return append(b, '-')
		}
		return appendHeld(append(b, '+'), v)
	default:
		panic("config: a fingerprint of " + v.Type().String())
	}
}

// appendHeld writes what something holds that is not nil.
func appendHeld(b []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.Slice:
		return appendItems(b, v)
	case reflect.Map:
		return appendMap(b, v)
	default: // an interface says of no type what it holds
		return appendAll(b, v.Elem(), v.Kind() == reflect.Interface)
	}
}

func appendItems(b []byte, v reflect.Value) []byte {
	b = binary.AppendUvarint(b, uint64(v.Len()))
	for i := range v.Len() {
		b = appendAll(b, v.Index(i), false)
	}
	return b
}

// appendMap writes the entries in the order of their keys as they are written.
func appendMap(b []byte, v reflect.Value) []byte {
	var entries []string
	for each := v.MapRange(); each.Next(); {
		key := appendAll(nil, each.Key(), false)
		entries = append(entries, string(appendAll(appendText(nil, string(key)), each.Value(), false)))
	}
	slices.Sort(entries)
	b = binary.AppendUvarint(b, uint64(len(entries)))
	for _, one := range entries {
		b = append(b, one...)
	}
	return b
}

// appendText writes a text behind its length.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
