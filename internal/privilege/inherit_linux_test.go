package privilege

import "testing"

func TestTighter(t *testing.T) {
	for _, tt := range [][3]string{{"max", "max", "max"}, {"max", "5", "5"}, {"5", "max", "5"}, {"5", "6", "5"}, {"6", "5", "5"}, {"5", "", "5"}, {"max", "", "max"}} {
		if got := tighter(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%q and %q: %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
	for _, tt := range [][3]string{{"max 100000", "max 100000", "max 100000"}, {"max 100000", "50000 100000", "50000 100000"}, {"50000 100000", "max 100000", "50000 100000"},
		{"50000 100000", "20000 50000", "20000 50000"}, {"20000 100000", "20000 50000", "20000 100000"}} {
		if got := tighterCPU(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%q and %q: %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestUnlimited(t *testing.T) {
	for text, want := range map[string]bool{"": true, "max": true, "5": false, "9223372036854771712": true, "8:0 rbps=max wbps=max": true, "8:0 rbps=1000 wbps=max": false,
		"mlx5_0 hca_handle=max hca_object=max": true, "res_a max\nres_b max": true, "res_a 5": false} {
		if got := unlimited(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
