package units

import (
	"regexp"
	"testing"
)

func TestSI(t *testing.T) {
	for unit, want := range map[string]Quantity{
		"V": {"volts", "", 0}, "mV": {"volts", "milli", -3}, "uV": {"volts", "micro", -6}, "µV": {"volts", "micro", -6}, "μV": {"volts", "micro", -6}, "kV": {"volts", "kilo", 3},
		"mW": {"watts", "milli", -3}, "MW": {"watts", "mega", 6}, "Wh": {"watt_hours", "", 0}, "kWh": {"watt_hours", "kilo", 3}, "mWh": {"watt_hours", "milli", -3}, "MWh": {"watt_hours", "mega", 6},
		"mA": {"amperes", "milli", -3}, "mAh": {"ampere_hours", "milli", -3}, "kVA": {"volt_amperes", "kilo", 3}, "kvar": {"volt_amperes_reactive", "kilo", 3}, "MVAr": {"volt_amperes_reactive", "mega", 6},
		"Hz": {"hertz", "", 0}, "mHz": {"hertz", "milli", -3}, "MHz": {"hertz", "mega", 6}, "GHz": {"hertz", "giga", 9}, "MHZ": {"hertz", "mega", 6}, "mhz": {},
		"\u03a9": {"ohms", "", 0}, "k\u2126": {"ohms", "kilo", 3}, "MΩ": {"ohms", "mega", 6}, "mOhm": {"ohms", "milli", -3},
		"g": {"grams", "", 0}, "kg": {"grams", "kilo", 3}, "mg": {"grams", "milli", -3}, "µg": {"grams", "micro", -6},
		"J": {"joules", "", 0}, "kJ": {"joules", "kilo", 3}, "Pa": {"pascals", "", 0}, "hPa": {"pascals", "hecto", 2}, "kPa": {"pascals", "kilo", 3}, "MPa": {"pascals", "mega", 6}, "mPa": {"pascals", "milli", -3},
		"bar": {"bars", "", 0}, "mbar": {"bars", "milli", -3}, "lm": {"lumens", "", 0}, "klm": {"lumens", "kilo", 3}, "lx": {"lux", "", 0}, "cd": {"candelas", "", 0}, "ml": {"liters", "milli", -3}, "hl": {"liters", "hecto", 2},
		"km": {"meters", "kilo", 3}, "mm": {"meters", "milli", -3}, "nm": {"meters", "nano", -9}, "Nm": {"newton_meters", "", 0}, "pF": {"farads", "pico", -12}, "mT": {"teslas", "milli", -3},
		"C": {"celsius", "", 0}, "°C": {"celsius", "", 0}, "degC": {"celsius", "", 0}, "mC": {"celsius", "milli", -3}, "mK": {"kelvin", "milli", -3}, "degF": {"fahrenheit", "", 0},
		"Volts": {"volts", "", 0}, "WATT": {"watts", "", 0}, "kilowatts": {"watts", "kilo", 3}, "milliamps": {"amperes", "milli", -3}, "megahertz": {"hertz", "mega", 6}, "siemens": {"siemens", "", 0},
		"ms": {"seconds", "milli", -3}, "msec": {"seconds", "milli", -3}, "usecs": {"seconds", "micro", -6}, "milliseconds": {"seconds", "milli", -3}, "pH": {"ph", "", 0},
		// Other units, or none.
		"": {}, "x": {}, "K": {}, "T": {}, "F": {}, "PS": {}, "EA": {}, "mph": {}, "min": {}, "Vm": {}, "GT": {}, "kk": {}, "m": {"meters", "", 0}, "metric": {}, "mmHg": {},
	} {
		if got, ok := SI(unit); got != want || ok != (want != Quantity{}) {
			t.Errorf("%q is %+v, %v, want %+v", unit, got, ok, want)
		}
	}
}

// AnyCase reads what SI does not for its case, and no unit that may be two.
func TestAnyCase(t *testing.T) {
	for unit, want := range map[string]Quantity{
		"hz": {"hertz", "", 0}, "khz": {"hertz", "kilo", 3}, "mhz": {"hertz", "mega", 6}, "ghz": {"hertz", "giga", 9}, "Mhz": {"hertz", "mega", 6},
		"v": {"volts", "", 0}, "mv": {"volts", "milli", -3}, "uv": {"volts", "micro", -6}, "kv": {"volts", "kilo", 3}, "a": {"amperes", "", 0}, "ma": {"amperes", "milli", -3}, "mah": {"ampere_hours", "milli", -3},
		"w": {"watts", "", 0}, "kw": {"watts", "kilo", 3}, "kwh": {"watt_hours", "kilo", 3}, "KWH": {"watt_hours", "kilo", 3}, "MWH": {"watt_hours", "mega", 6}, "gwh": {"watt_hours", "giga", 9}, "kva": {"volt_amperes", "kilo", 3}, "degc": {"celsius", "", 0},
		"mw": {}, "mwh": {}, "mva": {}, "na": {}, "ga": {}, "": {}, "k": {}, "m": {}, "x": {}, "kx": {}, "cv": {},
	} {
		if got, ok := AnyCase(unit); got != want || ok != (want != Quantity{}) {
			t.Errorf("%q is %+v, %v, want %+v", unit, got, ok, want)
		}
	}
}

// Name spells out prefixes: no two magnitudes have one name.
func TestName(t *testing.T) {
	for unit, want := range map[string]string{
		"mW": "milliwatts", "MW": "megawatts", "mHz": "millihertz", "MHz": "megahertz", "kWh": "kilowatt_hours", "mV": "millivolts", "KV": "kilovolts", "V": "volts",
		"m": "meters", "mm": "millimeters", "degC": "celsius", "F": "fahrenheit", "b": "bytes", "MB": "mb", "mb": "mb", "MBy": "megabytes", "KiBy": "kibibytes",
		"mX": "mx", "MX": "mega_x", "PQR": "peta_qr", "Msg": "msg", "Mails": "mails", "rpm": "rpm", "RPM": "rpm",
		"l/min": "liters_per_minute", "mA/s": "milliamperes_per_second", "kg/m³": "kilograms_per_cubic_meter", "m³": "cubic_meters", "m²": "square_meters", "cm²": "cm2", "cm³": "cm3", "/s": "per_second",
	} {
		if got := Join(Name(unit)); got != want {
			t.Errorf("%q is %q, want %q", unit, got, want)
		}
	}
}

var shown = regexp.MustCompile(`^([a-z0-9]+(_[a-z0-9]+)*)?$`)

func FuzzName(f *testing.F) {
	for _, unit := range []string{"mW", "MX", "µS/cm", "°C", "{widgets}", "1", "%", "KiBy/s", "\xff", "M\xff"} {
		f.Add(unit)
	}
	f.Fuzz(func(t *testing.T, unit string) {
		main, per := Name(unit)
		if !shown.MatchString(main) || !shown.MatchString(per) {
			t.Errorf("%q is %q by %q", unit, main, per)
		}
		if q, ok := SI(unit); ok && !shown.MatchString(q.Prefix+q.Base) {
			t.Errorf("%q is %+v", unit, q)
		}
	})
}
