"""Protons beside the electrons of a source: cascades and neutrinos. bml_hadron.h has the physics, units and errors.

    electrons = dict(R=1e16, B=0.14, gamma_min=1, gamma_max=1e5, L_e=1e41, p=2)    # members of bml_ssc_source, cgs
    protons = dict(gamma_min=1, gamma_max=1e6, L_p=1e46, p=2)                      # of bml_hadron_source; R, B as above
    source = bml.hadron.solve(electrons, protons)
    source.sed(nu, redshift=0.3365, delta=28)                                      # photons, cascades included
    source.neutrinos(log10_GeV, redshift=0.3365, delta=28)                         # [3][n] GeV cm^-2 s^-1

    made = bml.hadron.rates(gamma, N, x, n)                                        # of given protons and photons
    made.spectrum(log10_e, "neutrinos"); made.losses(log10_gamma, "photopion")
"""
import ctypes

import numpy as np

from . import _abi as abi, ssc
from ._lib import BadArgument, Callback, Why, check, choice, doubles, lib, numbers, pointer

SPECIES = ("gamma", "positron", "anti_nu_mu", "nu_mu", "nu_e", "electron", "anti_nu_e", "bethe_heitler", "synchrotron", "neutrinos",
           "neutron")
PROCESSES = {"photopion": abi.BML_HADRON_PHOTOPION, "pairs": abi.BML_HADRON_PAIRS, "gas": abi.BML_HADRON_GAS,
             "synchrotron": abi.BML_HADRON_SYNCHROTRON_LIGHT}
_INJECTION = ("power_law", "broken", "log_parabola", "cutoff")
_FLAVOURS = ("mixed", "equal", "source")
_tables = []


def _default_tables():
    if not _tables:
        why, handle = Why(), ctypes.c_void_p()
        check("hadron", lib.bml_hadron_create(ctypes.addressof(handle), None, why.buffer), why)
        _tables.append(handle)
    return _tables[0]


class Protons:
    """The protons of a source, or given ones: what they make, and what that costs them. Made by `solve` and `rates`."""

    def __init__(self):
        why, self.handle = Why(), ctypes.c_void_p()
        check("hadron", lib.bml_hadron_blob_create(ctypes.addressof(self.handle), _default_tables(), why.buffer), why)

    def __del__(self):
        if getattr(self, "handle", None):
            lib.bml_hadron_blob_free(self.handle)

    @property
    def message(self):
        return lib.bml_hadron_message(self.handle).decode()

    def _read(self, f, at, *more):
        at = doubles(np.atleast_1d(at), -1)
        out = np.empty(len(at))
        arguments = [pointer(out), pointer(at), len(at), self.handle] + list(more)
        check("hadron", f(*arguments), self.message)
        return out

    def spectrum(self, log10_e, species):
        """log10(E^2 Q) at log10_e [n], E over m_e c^2, of one of SPECIES; -inf where there is none. Per volume and R/c, times
        sigma_T R; after `rates` per cm^3 and second."""
        return self._read(lib.bml_hadron_spectrum, log10_e, choice("species", species, SPECIES))

    def protons(self, log10_gamma):
        """log10(gamma^2 N) at log10_gamma [n]."""
        return self._read(lib.bml_hadron_protons, log10_gamma)

    def losses(self, log10_gamma, process):
        """|gamma_dot|/gamma at log10_gamma [n] by one of PROCESSES, per R/c; after `rates` per second."""
        return self._read(lib.bml_hadron_losses, log10_gamma, choice("process", process, PROCESSES))

    def neutrinos(self, log10_GeV, redshift=None, delta=1.0, *, flavours="mixed", **how):
        """E^2 dN/dE [3][n] [GeV cm^-2 s^-1] of nu_e, nu_mu, nu_tau with their antineutrinos at the observer. flavours: "mixed" on the
        way, "equal", as at the "source"; H0, omega_m, distance [cm] as in bml.ssc.sed."""
        at, observer = doubles(np.atleast_1d(log10_GeV), -1), _observer(redshift, delta, flavours, **how)
        out = np.empty((3, len(at)))
        check("hadron", lib.bml_hadron_neutrinos(pointer(out), pointer(at), len(at), self.handle, ctypes.addressof(observer)),
              _seen_by(observer))
        return out

    def events(self, log10_GeV, area, seconds, redshift=None, delta=1.0, *, flavours="mixed", **how):
        """Muon-neutrino events in a telescope of effective area [cm^2] at log10_GeV [n]."""
        at, observer, out = doubles(log10_GeV, -1), _observer(redshift, delta, flavours, **how), ctypes.c_double()
        area = doubles(area, len(at))
        telescope = abi.bml_hadron_area(pointer(at), pointer(area), len(at))
        check("hadron", lib.bml_hadron_events(ctypes.addressof(out), ctypes.addressof(telescope), seconds, self.handle,
                                              ctypes.addressof(observer)), self.message)
        return out.value

    def energy(self):
        """The balance since the beginning: a dictionary, see bml_hadron_balance."""
        return self._all(abi.bml_hadron_balance(), lib.bml_hadron_energy)

    def derived(self):
        """Energy densities and powers: a dictionary, see bml_hadron_derived."""
        return self._all(abi.bml_hadron_derived(), lib.bml_hadron_derive)

    def _all(self, out, f):
        check("hadron", f(ctypes.addressof(out), self.handle), self.message)
        return {n: getattr(out, n) for n, _ in out._fields_}


def _observer(redshift, delta, flavours, H0=0.0, omega_m=0.0, distance=0.0):
    return abi.bml_hadron_observer(redshift or 0.0, delta, H0, omega_m, distance, choice("flavours", flavours, _FLAVOURS))


def _seen_by(o):
    return "redshift = %g, delta = %g, H0 = %g, omega_m = %g, distance = %g" % (o.redshift, o.delta, o.H0, o.omega_m, o.distance)


def _source(members):
    out = abi.bml_hadron_source()
    for name, value in members.items():
        if name == "off":
            value = value if isinstance(value, int) else sum(choice("off", v, PROCESSES) for v in value)
        elif name == "injection":
            value = choice("injection", value, _INJECTION)
        elif name in "RB":
            raise BadArgument("protons: %s is that of the electrons" % name)
        elif name not in {n for n, _ in out._fields_}:
            raise BadArgument("protons: no member '%s'" % name)
        elif numbers(value, name).ndim:
            raise BadArgument("protons: %s: one number" % name)
        setattr(out, name, value)
    return out


class _Hook(Callback):
    failed = abi.BML_HADRON_BAD_ARGUMENT

    def __init__(self, protons):
        super().__init__()
        names = [n for n, _ in abi.bml_hadron_field._fields_]

        def call(address, user):
            now, field = abi.bml_ssc_exchange.from_address(address), abi.bml_hadron_field()
            for n in names:
                setattr(field, n, getattr(now, n))
            return lib.bml_hadron_exchange(protons.handle, ctypes.addressof(field))
        kind = dict(abi.bml_ssc_source._fields_)["exchange"]
        self.address = ctypes.cast(self.keep(kind, call), ctypes.c_void_p).value


class Source(ssc.Blob):
    """A solved source with protons: bml.ssc's Blob (sed, spectrum, electrons, energy, derived; component="exchanged": photons made
    by protons), and .protons, a Protons. converged is False where the solver says so."""

    def __init__(self, electrons, protons):
        sources, kept = ssc._sources(None, 1, electrons)
        super().__init__(ssc._tables(None), sources, solve=False)
        self.protons, self.kept = Protons(), kept
        self.hook, members = _Hook(self.protons), _source(protons)
        end = sources["t_end"][0] or 5.0
        sources["exchange"], sources["pair_production"] = self.hook.address, 1
        for name in "RB":
            setattr(members, name, sources[name][0])
        sources["gamma_top"] = lib.bml_hadron_gamma_top(members.gamma_max, sources["gamma_max"][0], 0.0)
        # where the loop from protons to photons and back runs away within a step, again with shorter ones
        for per in (0, 48, 192, 768):
            check("hadron", lib.bml_hadron_begin(self.protons.handle, ctypes.addressof(members)), self.protons.message)
            check("ssc", lib.bml_ssc_begin(self.handle, pointer(sources)), self.message)
            times = [i / per for i in range(1, int(np.ceil(end * per)))] if per else []
            status = 0
            for t in times + [end]:
                status = status or lib.bml_ssc_advance(self.handle, t)
            self.hook.settle()
            if status != abi.BML_SSC_NOT_CONVERGED:
                break
        check("ssc", status, self.protons.message or self.message, allow=(abi.BML_SSC_NOT_CONVERGED,))
        self.converged = status == 0

    def neutrinos(self, log10_GeV, redshift=None, delta=1.0, **how):
        """As Protons.neutrinos."""
        return self.protons.neutrinos(log10_GeV, redshift, delta, **how)


def solve(electrons, protons):
    """A Source of electrons (members of bml_ssc_source) and protons (of bml_hadron_source, without R and B), in cgs; steady or
    at t_end [R/c]. Pair production is on: without it there are no cascades. 5 ms and more."""
    return Source(electrons, protons)


def rates(gamma, N, x=None, n=None, *, B=0.0, gas=0.0):
    """The Protons N [cm^-3] per gamma [n_gamma] in photons n [cm^-3] per x [n_x] (x = h nu/(m_e c^2)), a field B [G] and cold gas
    [cm^-3]: what they make per cm^3 and second."""
    gamma, N = doubles(gamma, -1), doubles(N, -1)
    x, n = (None, None) if x is None else (doubles(x, -1), doubles(n, -1))
    for a, b, what in ((gamma, N, "gamma and N"), (x, n, "x and n")):
        if a is not None and len(a) != len(b):
            raise BadArgument("%s must have one length: %d and %d" % (what, len(a), len(b)))
    given = abi.bml_hadron_given(pointer(gamma), pointer(N), pointer(x), pointer(n), len(gamma), 0 if x is None else len(x), B, gas)
    made = Protons()
    check("hadron", lib.bml_hadron_rates(made.handle, ctypes.addressof(given)), made.message)
    return made
