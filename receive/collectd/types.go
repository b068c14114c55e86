package collectd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strconv"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/config"
)

// typesDB is what files of the form types.db(5) say: the data sources of
// every type.
type typesDB map[string][]dataSource

// dataSource is one data source of a type.
type dataSource struct {
	name string
	kind dsType
}

// systemTypesDB is where collectd's packages put their types.db. On Windows there are none,
// and whoever makes a folder \usr there is no administrator.
const systemTypesDB = "/usr/share/collectd/types.db"

// loadTypesDB reads the files, of which a later one wins. Without any it
// reads collectd's own if there is one, and then what it cannot read there is
// only a warning, as it is to collectd.
func loadTypesDB(files []string, logger log.Logger) (typesDB, error) {
	types := make(typesDB)
	if len(files) == 0 && runtime.GOOS == "windows" {
		return types, nil
	}
	if len(files) == 0 {
		err := types.readFile(systemTypesDB)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			level.Warn(logger).Log("msg", "not all of collectd's types are known", "err", err)
		}
		return types, nil
	}
	var errs []error
	for _, name := range files {
		errs = append(errs, types.readFile(name))
	}
	return types, errors.Join(errs...)
}

func (t typesDB) readFile(name string) error {
	text, err := config.ReadNamed("types_db", name)
	if err != nil {
		return err
	}
	return t.read(bytes.NewReader(text), name)
}

// mostWrong is how many lines of one file are told that cannot be read.
const mostWrong = 100

// read takes in one file; name is for its errors, one for each line that cannot
// be read.
func (t typesDB) read(r io.Reader, name string) error {
	var errs []error
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		err := t.readLine(lines.Text())
		if err != nil && len(errs) == mostWrong {
			errs = append(errs, fmt.Errorf("%s:%d: other lines cannot be read either, and are not looked at", name, n))
			break
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, n, err))
		}
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return errors.Join(errs...)
}

// readLine reads a line such as
//
//	if_octets  rx:DERIVE:0:U, tx:DERIVE:0:U
func (t typesDB) readLine(line string) error {
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == '\r' })
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return nil
	}
	if len(fields) == 1 {
		return fmt.Errorf("type %q has no data source; write it like value:GAUGE:0:U", fields[0])
	}
	var sources []dataSource
	for _, field := range fields[1:] {
		source, err := parseDataSource(field)
		if err != nil {
			return fmt.Errorf("type %q: %w", fields[0], err)
		}
		sources = append(sources, source)
	}
	t[fields[0]] = sources
	return nil
}

func parseDataSource(field string) (dataSource, error) {
	parts := strings.Split(field, ":")
	if len(parts) != 4 || parts[0] == "" {
		return dataSource{}, fmt.Errorf("%q is no data source; write it like value:GAUGE:0:U", field)
	}
	kind, ok := parseDSType(parts[1])
	if !ok {
		return dataSource{}, fmt.Errorf("%q is no type of a data source; write GAUGE, DERIVE, COUNTER or ABSOLUTE", parts[1])
	}
	for _, bound := range parts[2:] {
		if _, err := strconv.ParseFloat(bound, 64); err != nil && !strings.EqualFold(bound, "U") {
			return dataSource{}, fmt.Errorf("%q is no bound; write a number, or U for none", bound)
		}
	}
	return dataSource{parts[0], kind}, nil
}
