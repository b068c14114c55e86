package store

import (
	bolt "go.etcd.io/bbolt"
)

const (
	// kept is the room that Room keeps back, and a part of the file beside: what
	// is written anew when something is removed is the pages on the way to it, and
	// the list of free pages, of which each takes 8 bytes of its 4096.
	kept     = 256 << 10
	keptPart = 256
	// ahead is by how much more the file is made longer than is needed now.
	ahead = 256 << 10
)

// Room sees that a transaction that adds so many bytes, and changes so many rows
// here and there, leaves enough of the file
// for others that only take away: what is removed is written anew in part before
// anything becomes free, and a disk that is full would keep all that is on it for
// ever. Where there is not enough the file is made longer, by bytes that are
// written and not only said, since a disk may promise more than it has. It is
// called in the transaction, at its end; its error is that of the disk.
func (f *File) Room(tx *bolt.Tx, adds int64, rows int) error {
	end := tx.Size() // what is behind has never been used
	f.solid = max(f.solid, end)
	stats := f.db.Stats()
	free := int64(stats.FreePageN) * f.page
	list := 8 * int64(stats.FreePageN+stats.PendingPageN)
	// A row that is changed has its whole page written anew.
	need := adds*5/4 + min(int64(rows)*f.page, end-free) + 16*f.page + 2*list + kept + end/keptPart
	missing := need - free - (f.solid - end)
	if missing <= 0 {
		return nil
	}
	zeros := make([]byte, 64<<10)
	for more := missing + ahead; more > 0; more -= int64(len(zeros)) {
		n, err := f.file.WriteAt(zeros[:min(more, int64(len(zeros)))], f.solid)
		f.solid += int64(n)
		missing -= int64(n)
		if err != nil && missing > 0 {
			return err
		}
		if err != nil {
			break
		}
	}
	return nil
}
