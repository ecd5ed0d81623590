"""Constants, structures and functions of the library. Made by make_bindings.py from the headers; do not edit."""
from ctypes import (CFUNCTYPE, Structure, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_long,
                    c_short, c_size_t, c_ubyte, c_uint, c_uint32, c_uint64, c_void_p)

HEADERS = ['bml_classify.h', 'bml_hadron.h', 'bml_mcmc.h', 'bml_nn.h', 'bml_sample.h', 'bml_ssc.h', 'examples/common/bml_onnx.h', 'examples/common/bml_sed.h']
VERSIONS = {'BML_CLASSIFY_VERSION': 200, 'BML_HADRON_VERSION': 100, 'BML_MCMC_VERSION': 200, 'BML_NN_VERSION': 200, 'BML_SAMPLE_VERSION': 200, 'BML_SSC_VERSION': 200, 'BML_ONNX_VERSION': 200, 'BML_SED_VERSION': 200}


# ---- bml_classify.h
BML_CLASSIFY_OK = 0
BML_CLASSIFY_BAD_ARGUMENT = -1
BML_CLASSIFY_NO_MEMORY = -2
BML_CLASSIFY_TOO_LARGE = -3
BML_CLASSIFY_NO_FILE = -4
BML_CLASSIFY_BAD_TABLE = -5
BML_CLASSIFY_NO_COLUMN = -6
BML_CLASSIFY_BAD_VALUE = -7
BML_CLASSIFY_DUPLICATE = -8
BML_CLASSIFY_BAD_LABEL = -9
BML_CLASSIFY_ONE_CLASS = -10
BML_CLASSIFY_TOO_FEW = -11
BML_CLASSIFY_EMPTY_COLUMN = -12
BML_CLASSIFY_NO_NETWORKS = -13
BML_CLASSIFY_NO_FITS = -14
BML_CLASSIFY_NOT_CONVERGED = -15
BML_CLASSIFY_CANCELLED = -16
BML_CLASSIFY_NO_ZLIB = -17
BML_CLASSIFY_NOT_REACHED = -18
BML_CLASSIFY_MESSAGE = 512
BML_CLASSIFY_NAME = 48
BML_CLASSIFY_BLANK = 0
BML_CLASSIFY_UNKNOWN = 1
BML_CLASSIFY_BCU = 2
BML_CLASSIFY_BLL = 3
BML_CLASSIFY_FSRQ = 4
BML_CLASSIFY_OTHER_AGN = 5
BML_CLASSIFY_PSR = 6
BML_CLASSIFY_OTHER = 7
BML_CLASSIFY_N_KINDS = 8
BML_CLASSIFY_NO_PULSAR = 0
BML_CLASSIFY_YOUNG = 1
BML_CLASSIFY_MILLISECOND = 2
BML_CLASSIFY_N_REPORTS = 5
BML_CLASSIFY_QUANTITIES = 16
BML_CLASSIFY_AGN_PSR = 0
BML_CLASSIFY_BLL_FSRQ = 1
BML_CLASSIFY_YNG_MSP = 2
BML_CLASSIFY_RAW = 1
BML_CLASSIFY_LOG = 2
BML_CLASSIFY_DERIVED = 4
BML_CLASSIFY_ERRORS = 8
BML_CLASSIFY_SQRT_TS = 16
BML_CLASSIFY_LATITUDE = 32
BML_CLASSIFY_SIGNED_LATITUDE = 64
BML_CLASSIFY_CATALOG = 128
BML_CLASSIFY_ALL_FEATURES = 255
BML_CLASSIFY_ENERGY = 1
BML_CLASSIFY_TIME = 2
BML_CLASSIFY_PLACE = 4
BML_CLASSIFY_OUTSIDE = 8
BML_CLASSIFY_LOGISTIC = 0
BML_CLASSIFY_FOREST = 1
BML_CLASSIFY_BOOST = 2
BML_CLASSIFY_DNN = 3
BML_CLASSIFY_RNN = 4
BML_CLASSIFY_BNN = 5
BML_CLASSIFY_KERNEL = 6
BML_CLASSIFY_STACK = 7
BML_CLASSIFY_N_MODELS = 8
BML_CLASSIFY_NO_CALIBRATION = 0
BML_CLASSIFY_TEMPERATURE = 1
BML_CLASSIFY_ISOTONIC = 2
BML_CLASSIFY_NO_SMOTE = 0
BML_CLASSIFY_SMOTE_MINORITY = 1
BML_CLASSIFY_SMOTE_FULL = 2


class bml_classify_rng(Structure):
    _fields_ = [
        ("key", c_uint32 * 2),
        ("counter", c_uint32 * 4),
        ("block", c_uint32 * 4),
        ("used", c_uint32),
    ]


class bml_classify_column(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("number", c_void_p),
        ("text", c_void_p),
    ]


class bml_classify_table(Structure):
    _fields_ = [
        ("n_rows", c_int),
        ("n_columns", c_int),
        ("column", c_void_p),
        ("line", c_void_p),
        ("name", c_char * 256),
    ]


class bml_classify_report(Structure):
    _fields_ = [
        ("what", c_char_p),
        ("n", c_long),
        ("n_nan", c_long),
        ("n_infinite", c_long),
        ("n_zero", c_long),
        ("n_negative", c_long),
        ("n_limits", c_long),
        ("rule", c_char_p),
    ]


class bml_classify_catalog(Structure):
    _fields_ = [
        ("n", c_int),
        ("n_bands", c_int),
        ("n_years", c_int),
        ("name", c_void_p),
        ("label", c_void_p),
        ("association", c_void_p),
        ("kind", c_void_p),
        ("pulsar", c_void_p),
        ("release", c_void_p),
        ("lon", c_void_p),
        ("lat", c_void_p),
        ("ra", c_void_p),
        ("dec", c_void_p),
        ("flux", c_void_p),
        ("flux_error", c_void_p),
        ("sqrt_ts", c_void_p),
        ("history", c_void_p),
        ("history_error", c_void_p),
        ("variability", c_void_p),
        ("curvature", c_void_p),
        ("quantity", c_void_p),
        ("has_quantity", c_int * 16),
        ("n_unknown", c_int),
        ("warning", c_char * 512),
        ("report", bml_classify_report * 6),
    ]


class bml_classify_data(Structure):
    _fields_ = [
        ("n", c_int),
        ("d", c_int),
        ("n_class", c_int),
        ("x", c_void_p),
        ("y", c_void_p),
        ("source", c_void_p),
        ("group", c_void_p),
        ("feature", c_void_p),
        ("class_name", c_void_p),
    ]


class bml_classify_features(Structure):
    _fields_ = [
        ("task", c_int),
        ("kinds", c_int),
        ("inputs", c_int),
    ]


class bml_classify_config(Structure):
    _fields_ = [
        ("model", c_int),
        ("seed", c_uint64),
        ("columns", c_void_p),
        ("n_columns", c_int),
        ("copies", c_int),
        ("smote", c_int),
        ("smote_to", c_void_p),
        ("class_weights", c_int),
        ("calibrate", c_int),
        ("folds", c_int),
        ("l2", c_double),
        ("trees", c_int),
        ("depth", c_int),
        ("min_leaf", c_int),
        ("rate", c_double),
        ("row_share", c_double),
        ("column_share", c_double),
        ("scale", c_double),
        ("centres", c_int),
        ("random_cuts", c_int),
        ("epochs", c_int),
        ("batch", c_int),
        ("hidden", c_int),
        ("cosine", c_int),
        ("draws", c_int),
        ("member", c_void_p),
        ("n_members", c_int),
        ("progress", CFUNCTYPE(c_int, c_double, c_void_p)),
        ("progress_user", c_void_p),
    ]


class bml_classify_cut(Structure):
    _fields_ = [
        ("threshold", c_double),
        ("purity", c_double),
        ("completeness", c_double),
        ("called", c_double),
    ]


class bml_classify_scores(Structure):
    _fields_ = [
        ("n", c_double),
        ("accuracy", c_double),
        ("balanced_accuracy", c_double),
        ("f1", c_double),
        ("auc", c_double),
        ("auc_error", c_double),
        ("pr_auc", c_double),
        ("brier", c_double),
        ("log_loss", c_double),
        ("calibration_error", c_double),
        ("threshold", c_double),
    ]


# ---- bml_hadron.h
BML_HADRON_OK = 0
BML_HADRON_BAD_ARGUMENT = -1
BML_HADRON_NO_MEMORY = -2
BML_HADRON_CONFIG = -4
BML_HADRON_PARAMETER = -5
BML_HADRON_ORDER = -6
BML_HADRON_SPECTRUM = -7
BML_HADRON_TIME = -8
BML_HADRON_GRID = -9
BML_HADRON_MESSAGE = 512
BML_HADRON_POWER_LAW = 0
BML_HADRON_BROKEN = 1
BML_HADRON_LOG_PARABOLA = 2
BML_HADRON_CUTOFF = 3
BML_HADRON_PHOTOPION = 1
BML_HADRON_PAIRS = 2
BML_HADRON_GAS = 4
BML_HADRON_SYNCHROTRON_LIGHT = 8
BML_HADRON_GAMMA = 0
BML_HADRON_POSITRON = 1
BML_HADRON_ANTI_NU_MU = 2
BML_HADRON_NU_MU = 3
BML_HADRON_NU_E = 4
BML_HADRON_ELECTRON = 5
BML_HADRON_ANTI_NU_E = 6
BML_HADRON_BETHE_HEITLER = 7
BML_HADRON_SYNCHROTRON = 8
BML_HADRON_NEUTRINOS = 9
BML_HADRON_NEUTRON = 10
BML_HADRON_SPECIES = 11


class bml_hadron_config(Structure):
    _fields_ = [
        ("spacing", c_double),
    ]


class bml_hadron_source(Structure):
    _fields_ = [
        ("R", c_double),
        ("B", c_double),
        ("gamma_min", c_double),
        ("gamma_max", c_double),
        ("compactness", c_double),
        ("L_p", c_double),
        ("p", c_double),
        ("escape", c_double),
        ("gas", c_double),
        ("injection", c_int),
        ("gamma_break", c_double),
        ("p2", c_double),
        ("curvature", c_double),
        ("off", c_int),
        ("cooling", c_int),
        ("neutrons", c_int),
    ]


class bml_hadron_field(Structure):
    _fields_ = [
        ("t", c_double),
        ("dt", c_double),
        ("pass", c_int),
        ("n_electrons", c_int),
        ("n_photons", c_int),
        ("R", c_double),
        ("B", c_double),
        ("dilution", c_double),
        ("gamma", c_void_p),
        ("width", c_void_p),
        ("x", c_void_p),
        ("n", c_void_p),
        ("outside", c_void_p),
        ("electrons", c_void_p),
        ("photons", c_void_p),
    ]


class bml_hadron_given(Structure):
    _fields_ = [
        ("gamma", c_void_p),
        ("N", c_void_p),
        ("x", c_void_p),
        ("n", c_void_p),
        ("n_gamma", c_int),
        ("n_x", c_int),
        ("B", c_double),
        ("gas", c_double),
    ]


class bml_hadron_observer(Structure):
    _fields_ = [
        ("redshift", c_double),
        ("delta", c_double),
        ("H0", c_double),
        ("omega_m", c_double),
        ("distance", c_double),
        ("flavours", c_int),
    ]


class bml_hadron_area(Structure):
    _fields_ = [
        ("log10_GeV", c_void_p),
        ("cm2", c_void_p),
        ("n", c_int),
    ]


class bml_hadron_balance(Structure):
    _fields_ = [
        ("injected", c_double),
        ("protons", c_double),
        ("escaped", c_double),
        ("photons", c_double),
        ("pairs", c_double),
        ("neutrinos", c_double),
        ("neutrons", c_double),
        ("cooled", c_double),
        ("expansion", c_double),
        ("lost", c_double),
        ("residual", c_double),
    ]


class bml_hadron_derived(Structure):
    _fields_ = [
        ("U_p", c_double),
        ("L_injected", c_double),
        ("L_photons", c_double),
        ("L_pairs", c_double),
        ("L_neutrinos", c_double),
        ("efficiency", c_double),
        ("gamma_max_B", c_double),
        ("muon_cooling", c_double),
    ]


# ---- bml_mcmc.h
BML_MCMC_OK = 0
BML_MCMC_BAD_ARGUMENT = -1
BML_MCMC_NO_MEMORY = -2
BML_MCMC_TOO_LARGE = -3
BML_MCMC_BAD_START = -4
BML_MCMC_NAN = -5
BML_MCMC_INFINITE = -6
BML_MCMC_NOT_STARTED = -7
BML_MCMC_CANCELLED = -8
BML_MCMC_NOT_CONVERGED = -9
BML_MCMC_BAD_STATE = -10
BML_MCMC_EMPTY_BOUNDS = -11
BML_MCMC_BAD_TRANSFORM = -12
BML_MCMC_NO_SUPPORT = -13
BML_MCMC_BAD_GRADIENT = -14
BML_MCMC_MESSAGE = 512
BML_MCMC_UNIFORM = 0
BML_MCMC_LOG_UNIFORM = 1
BML_MCMC_NORMAL = 2
BML_MCMC_TABLE = 3
BML_MCMC_NAN_STOPS = 0
BML_MCMC_NAN_REJECTED = 1
BML_MCMC_STRETCH = 0
BML_MCMC_WALK = 1
BML_MCMC_DE = 2
BML_MCMC_SNOOKER = 3
BML_MCMC_KDE = 4
BML_MCMC_MIXTURE = 5
BML_MCMC_SURROGATE = 6
BML_MCMC_N_MOVES = 7
BML_MCMC_MAX_MOVES = 16
BML_MCMC_MAX_COUNT = 32
BML_MCMC_REASON_SHORT = 0
BML_MCMC_REASON_RHAT = 1
BML_MCMC_REASON_ESS = 2
BML_MCMC_REASON_CONSTANT = 3
BML_MCMC_REASON_UNFINISHED = 4
BML_MCMC_REASON_STUCK = 5
BML_MCMC_REASON_NAN = 6
BML_MCMC_REASON_EDGE = 7
BML_MCMC_REASON_DIVERGENCES = 8
BML_MCMC_REASON_ENERGY = 9
BML_MCMC_REASON_DEPTH = 10
BML_MCMC_REASON_WALLS = 11
BML_MCMC_REASON_RANK = 12
BML_MCMC_REASON_CORRELATION = 13
BML_MCMC_REASON_EVIDENCE = 14
BML_MCMC_REASON_UNCHECKED = 15
BML_MCMC_REASON_PARETO = 16
BML_MCMC_REASON_STRAYS = 17
BML_MCMC_MAX_REASONS = 32
BML_MCMC_REASON = 240
BML_MCMC_NESTED_AUTO = 0
BML_MCMC_NESTED_REGION = 1
BML_MCMC_NESTED_SLICE = 2
BML_MCMC_CHECKED = 0
BML_MCMC_UNCHECKED = 1
BML_MCMC_DIAGONAL = 0
BML_MCMC_DENSE = 1
bml_mcmc_bounds = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
bml_mcmc_log_prob = CFUNCTYPE(None, c_void_p, c_void_p, c_int, c_int, c_void_p)
bml_mcmc_log_prob_derived = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_int, c_int, c_void_p)
bml_mcmc_progress_fn = CFUNCTYPE(c_int, c_void_p, c_void_p)
bml_mcmc_transform = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int, c_void_p)
bml_mcmc_nested_progress_fn = CFUNCTYPE(c_int, c_void_p, c_void_p)
bml_mcmc_importance_progress_fn = CFUNCTYPE(c_int, c_void_p, c_void_p)
bml_mcmc_learn = CFUNCTYPE(c_int, c_void_p)
bml_mcmc_gradient = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_int, c_int, c_void_p)
bml_mcmc_nuts_progress_fn = CFUNCTYPE(c_int, c_void_p, c_void_p)


class bml_mcmc_rng(Structure):
    _fields_ = [
        ("key", c_uint32 * 2),
        ("counter", c_uint32 * 4),
        ("block", c_uint32 * 4),
        ("used", c_uint32),
    ]


class bml_mcmc_prior_param(Structure):
    _fields_ = [
        ("kind", c_int),
        ("lower", c_double),
        ("upper", c_double),
        ("mean", c_double),
        ("sd", c_double),
        ("x", c_void_p),
        ("density", c_void_p),
        ("n", c_int),
        ("bounds", bml_mcmc_bounds),
        ("user", c_void_p),
        ("joint", c_int),
    ]


class bml_mcmc_move(Structure):
    _fields_ = [
        ("kind", c_int),
        ("weight", c_double),
        ("scale", c_double),
        ("count", c_int),
    ]


class bml_mcmc_progress(Structure):
    _fields_ = [
        ("step", c_uint64),
        ("last", c_uint64),
        ("evaluations", c_uint64),
        ("acceptance", c_double),
    ]


class bml_mcmc_config(Structure):
    _fields_ = [
        ("n_dim", c_int),
        ("n_walkers", c_int),
        ("seed", c_uint64),
        ("log_prob", bml_mcmc_log_prob),
        ("log_prob_derived", bml_mcmc_log_prob_derived),
        ("n_derived", c_int),
        ("user", c_void_p),
        ("nan_policy", c_int),
        ("prior", c_void_p),
        ("names", c_void_p),
        ("surrogate", bml_mcmc_log_prob),
        ("reference", c_void_p),
        ("n_reference", c_int),
        ("moves", c_void_p),
        ("n_moves", c_int),
        ("thin", c_int),
        ("progress", bml_mcmc_progress_fn),
        ("progress_user", c_void_p),
    ]


class bml_mcmc_chain(Structure):
    _fields_ = [
        ("theta", c_void_p),
        ("log_prob", c_void_p),
        ("n_steps", c_size_t),
        ("n_walkers", c_int),
        ("n_dim", c_int),
    ]


class bml_mcmc_ensemble_info(Structure):
    _fields_ = [
        ("n_dim", c_int),
        ("n_walkers", c_int),
        ("n_moves", c_int),
        ("thin", c_int),
        ("step", c_uint64),
        ("evaluations", c_uint64),
        ("theta", c_void_p),
        ("log_prob", c_void_p),
        ("accepted", c_void_p),
        ("steps_counted", c_uint64),
        ("nans", c_uint64),
        ("moves", c_void_p),
        ("moves_proposed", c_void_p),
        ("moves_accepted", c_void_p),
    ]


class bml_mcmc_summary(Structure):
    _fields_ = [
        ("median", c_double),
        ("minus", c_double),
        ("plus", c_double),
        ("mean", c_double),
        ("sd", c_double),
        ("ess", c_double),
        ("rhat", c_double),
        ("tau", c_double),
        ("ess_bulk", c_double),
        ("ess_tail", c_double),
    ]


class bml_mcmc_reason(Structure):
    _fields_ = [
        ("kind", c_int),
        ("refuses", c_int),
        ("parameter", c_int),
        ("value", c_double),
        ("limit", c_double),
        ("text", c_char * 240),
    ]


class bml_mcmc_verdict(Structure):
    _fields_ = [
        ("status", c_int),
        ("n_reasons", c_int),
        ("reason", bml_mcmc_reason * 32),
        ("rhat", c_double),
        ("ess_bulk", c_double),
        ("ess_tail", c_double),
        ("e_bfmi", c_double),
        ("check_log_z", c_double),
        ("check_log_z_error", c_double),
        ("check_ess", c_double),
        ("check_pareto", c_double),
        ("check_evaluations", c_uint64),
        ("burn", c_size_t),
    ]


class bml_mcmc_goal(Structure):
    _fields_ = [
        ("ess", c_double),
        ("steps", c_double),
        ("keep_stuck", c_int),
        ("burn", c_double),
    ]


class bml_mcmc_nested_progress(Structure):
    _fields_ = [
        ("log_z", c_double),
        ("log_z_error", c_double),
        ("remaining", c_double),
        ("efficiency", c_double),
        ("log_volume", c_double),
        ("evaluations", c_uint64),
        ("n_points", c_size_t),
        ("pass", c_int),
        ("method", c_int),
        ("n_clusters", c_int),
    ]


class bml_mcmc_nested_config(Structure):
    _fields_ = [
        ("n_dim", c_int),
        ("live_points", c_int),
        ("seed", c_uint64),
        ("log_likelihood", bml_mcmc_log_prob),
        ("prior", c_void_p),
        ("transform", bml_mcmc_transform),
        ("user", c_void_p),
        ("nan_policy", c_int),
        ("names", c_void_p),
        ("wrapped", c_void_p),
        ("method", c_int),
        ("sweeps", c_int),
        ("replace", c_int),
        ("remaining", c_double),
        ("error", c_double),
        ("min_ess", c_double),
        ("check_evidence", c_int),
        ("progress", bml_mcmc_nested_progress_fn),
        ("progress_user", c_void_p),
    ]


class bml_mcmc_nested_result(Structure):
    _fields_ = [
        ("log_z", c_double),
        ("log_z_error", c_double),
        ("information", c_double),
        ("ess", c_double),
        ("remaining", c_double),
        ("rank_p", c_double),
        ("rank_ok", c_int),
        ("converged", c_int),
        ("evaluations", c_uint64),
        ("slice_evaluations", c_uint64),
        ("nans", c_uint64),
        ("passes", c_int),
        ("sweeps", c_int),
        ("sweep_correlation", c_double),
        ("n_points", c_size_t),
        ("theta", c_void_p),
        ("log_likelihood", c_void_p),
        ("weight", c_void_p),
    ]


class bml_mcmc_importance_progress(Structure):
    _fields_ = [
        ("stage", c_int),
        ("power", c_double),
        ("evaluations", c_uint64),
        ("log_z", c_double),
        ("log_z_error", c_double),
        ("ess", c_double),
    ]


class bml_mcmc_importance_config(Structure):
    _fields_ = [
        ("n_dim", c_int),
        ("points", c_int),
        ("batch", c_int),
        ("seed", c_uint64),
        ("log_likelihood", bml_mcmc_log_prob),
        ("prior", c_void_p),
        ("transform", bml_mcmc_transform),
        ("guide", bml_mcmc_log_prob),
        ("learn", bml_mcmc_learn),
        ("user", c_void_p),
        ("names", c_void_p),
        ("min_ess", c_double),
        ("error", c_double),
        ("progress", bml_mcmc_importance_progress_fn),
        ("progress_user", c_void_p),
    ]


class bml_mcmc_importance_result(Structure):
    _fields_ = [
        ("log_z", c_double),
        ("log_z_error", c_double),
        ("information", c_double),
        ("ess", c_double),
        ("largest_weight", c_double),
        ("pareto", c_double),
        ("tail", c_double),
        ("strays", c_double),
        ("strays_allowed", c_double),
        ("converged", c_int),
        ("evaluations", c_uint64),
        ("exploring_evaluations", c_uint64),
        ("n_points", c_size_t),
        ("theta", c_void_p),
        ("log_likelihood", c_void_p),
        ("weight", c_void_p),
    ]


class bml_mcmc_nuts_progress(Structure):
    _fields_ = [
        ("draws", c_uint64),
        ("last", c_uint64),
        ("gradients", c_uint64),
        ("divergences", c_uint64),
    ]


class bml_mcmc_nuts_config(Structure):
    _fields_ = [
        ("n_dim", c_int),
        ("n_chains", c_int),
        ("seed", c_uint64),
        ("log_prob", bml_mcmc_gradient),
        ("user", c_void_p),
        ("nan_policy", c_int),
        ("prior", c_void_p),
        ("names", c_void_p),
        ("lower", c_void_p),
        ("upper", c_void_p),
        ("metric", c_int),
        ("warmup", c_int),
        ("covariance", c_void_p),
        ("step", c_double),
        ("target_accept", c_double),
        ("gradient_tolerance", c_double),
        ("max_depth", c_int),
        ("progress", bml_mcmc_nuts_progress_fn),
        ("progress_user", c_void_p),
    ]


class bml_mcmc_nuts_info(Structure):
    _fields_ = [
        ("n_dim", c_int),
        ("n_chains", c_int),
        ("gradients", c_uint64),
        ("draws", c_uint64),
        ("divergences", c_uint64),
        ("walls", c_uint64),
        ("max_depth_hits", c_uint64),
        ("nans", c_uint64),
        ("mean_accept", c_double),
        ("mean_tree", c_double),
        ("step_size", c_void_p),
    ]


# ---- bml_nn.h
BML_NN_OK = 0
BML_NN_BAD_ARGUMENT = -1
BML_NN_NO_MEMORY = -2
BML_NN_TOO_LARGE = -3
BML_NN_BAD_LAYER = -4
BML_NN_BAD_DATA = -5
BML_NN_NAN = -6
BML_NN_CANCELLED = -7
BML_NN_CANNOT_OPEN = -8
BML_NN_CANNOT_WRITE = -9
BML_NN_BAD_FILE = -10
BML_NN_MISMATCH = -11
BML_NN_MESSAGE = 512
BML_NN_INPUT = 0
BML_NN_DENSE = 1
BML_NN_GRU = 2
BML_NN_LSTM = 3
BML_NN_RNN = 4
BML_NN_CONV = 5
BML_NN_POOL = 6
BML_NN_DROPOUT = 7
BML_NN_FLATTEN = 8
BML_NN_RESHAPE = 9
BML_NN_CONCAT = 10
BML_NN_BATCH_NORM = 11
BML_NN_LAYER_NORM = 12
BML_NN_BAYES = 13
BML_NN_ADD = 14
BML_NN_N_KINDS = 15
BML_NN_LINEAR = 0
BML_NN_RELU = 1
BML_NN_LEAKY_RELU = 2
BML_NN_TANH = 3
BML_NN_SIGMOID = 4
BML_NN_SOFTPLUS = 5
BML_NN_SILU = 6
BML_NN_GELU = 7
BML_NN_HARDTANH = 8
BML_NN_SOFTMAX = 9
BML_NN_N_ACTIVATIONS = 10
BML_NN_GLOROT = 0
BML_NN_HE = 1
BML_NN_MAX_FROM = 8
BML_NN_MAX_NAME = 32
BML_NN_INPUTS = 0
BML_NN_OUTPUTS = 1
BML_NN_STANDARD = 0
BML_NN_MIN_MAX = 1
BML_NN_MIN_MAX_ALL = 2
BML_NN_MSE = 0
BML_NN_MSLE = 1
BML_NN_MAE = 2
BML_NN_BINARY = 3
BML_NN_BINARY_LOGITS = 4
BML_NN_CATEGORICAL = 5
BML_NN_CATEGORICAL_LOGITS = 6
BML_NN_CUSTOM = 7
BML_NN_N_LOSSES = 8
BML_NN_ADAM = 0
BML_NN_ADAMW = 1
BML_NN_RMSPROP = 2
BML_NN_SGD = 3
BML_NN_N_OPTIMIZERS = 4
BML_NN_CONSTANT = 0
BML_NN_STEP = 1
BML_NN_EXPONENTIAL = 2
BML_NN_COSINE = 3
BML_NN_N_SCHEDULES = 4
BML_NN_F32 = 0
BML_NN_F16 = 1
BML_NN_BF16 = 2
BML_NN_F64 = 3
BML_NN_KERAS = 0
BML_NN_PYTORCH = 1
bml_nn_loss_fn = CFUNCTYPE(c_double, c_void_p, c_void_p)
bml_nn_epoch_fn = CFUNCTYPE(c_int, c_void_p, c_void_p)


class bml_nn_rng(Structure):
    _fields_ = [
        ("key", c_uint32 * 2),
        ("counter", c_uint32 * 4),
        ("block", c_uint32 * 4),
        ("used", c_uint32),
    ]


class bml_nn_layer(Structure):
    _fields_ = [
        ("kind", c_int),
        ("name", c_char_p),
        ("from", c_char_p * 8),
        ("units", c_int),
        ("activation", c_int),
        ("steps", c_int),
        ("features", c_int),
        ("sequence", c_int),
        ("bidirectional", c_int),
        ("reset_before", c_int),
        ("kernel", c_int),
        ("stride", c_int),
        ("same", c_int),
        ("init", c_int),
        ("rate", c_double),
        ("slope", c_double),
        ("prior_sd", c_double),
        ("epsilon", c_double),
        ("momentum", c_double),
        ("no_bias", c_int),
        ("two_biases", c_int),
        ("lengths", c_char_p),
    ]


class bml_nn_config(Structure):
    _fields_ = [
        ("layers", c_void_p),
        ("n_layers", c_int),
        ("seed", c_uint64),
    ]


class bml_nn_spread(Structure):
    _fields_ = [
        ("mean", c_void_p),
        ("sd", c_void_p),
        ("quantiles", c_void_p),
        ("levels", c_void_p),
        ("n_levels", c_int),
    ]


class bml_nn_batch(Structure):
    _fields_ = [
        ("gradient", c_void_p),
        ("prediction", c_void_p),
        ("target", c_void_p),
        ("x", c_void_p),
        ("weight", c_void_p),
        ("n", c_int),
        ("n_in", c_size_t),
        ("n_out", c_size_t),
    ]


class bml_nn_epoch(Structure):
    _fields_ = [
        ("epoch", c_int),
        ("last", c_int),
        ("loss", c_double),
        ("penalty", c_double),
        ("val_loss", c_double),
        ("accuracy", c_double),
        ("val_accuracy", c_double),
        ("learning_rate", c_double),
        ("gradient_norm", c_double),
        ("batch", c_int),
        ("best_epoch", c_int),
        ("best_loss", c_double),
    ]


class bml_nn_batch_step(Structure):
    _fields_ = [
        ("epoch", c_int),
        ("batch", c_int),
    ]


class bml_nn_training(Structure):
    _fields_ = [
        ("x", c_void_p),
        ("y", c_void_p),
        ("weights", c_void_p),
        ("n", c_size_t),
        ("x_val", c_void_p),
        ("y_val", c_void_p),
        ("n_val", c_size_t),
        ("validation", c_double),
        ("loss", c_int),
        ("class_weights", c_void_p),
        ("loss_fn", bml_nn_loss_fn),
        ("loss_user", c_void_p),
        ("optimizer", c_int),
        ("learning_rate", c_double),
        ("momentum", c_double),
        ("weight_decay", c_double),
        ("l2", c_double),
        ("clip", c_double),
        ("kl_weight", c_double),
        ("schedule", c_int),
        ("decay", c_double),
        ("period", c_int),
        ("warmup", c_int),
        ("batch", c_int),
        ("batches", c_void_p),
        ("n_batches", c_int),
        ("epochs", c_int),
        ("patience", c_int),
        ("first_epoch", c_int),
        ("keep_last", c_int),
        ("in_order", c_int),
        ("threads", c_int),
        ("block", c_int),
        ("seed", c_uint64),
        ("callback", bml_nn_epoch_fn),
        ("user", c_void_p),
    ]


class bml_nn_metrics(Structure):
    _fields_ = [
        ("r2", c_double),
        ("mse", c_double),
        ("msle", c_double),
        ("mae", c_double),
    ]


class bml_nn_alias(Structure):
    _fields_ = [
        ("layer", c_char_p),
        ("module", c_char_p),
        ("level", c_int),
    ]


class bml_nn_import(Structure):
    _fields_ = [
        ("convention", c_int),
        ("prefix", c_char_p),
        ("aliases", c_void_p),
        ("n_aliases", c_int),
    ]


# ---- bml_sample.h
BML_SAMPLE_OK = 0
BML_SAMPLE_BAD_ARGUMENT = -1
BML_SAMPLE_NO_MEMORY = -2
BML_SAMPLE_TOO_LARGE = -3
BML_SAMPLE_BAD_DENSITY = -4
BML_SAMPLE_ZERO_DENSITY = -5
BML_SAMPLE_NOT_INTEGRABLE = -6
BML_SAMPLE_OUT_OF_DOMAIN = -7
BML_SAMPLE_BAD_ENVELOPE = -8
BML_SAMPLE_NOT_CONVERGED = -9
BML_SAMPLE_BAD_ARRAY = -10
BML_SAMPLE_NOT_MONOTONE = -11
BML_SAMPLE_CANCELLED = -12
BML_SAMPLE_TRAINING = -13
BML_SAMPLE_MESSAGE = 512
BML_SAMPLE_NET = 0
BML_SAMPLE_TABLE = 1
BML_SAMPLE_EXACT = 2
BML_SAMPLE_PHOTONS = 0
BML_SAMPLE_ENERGY = 1
BML_SAMPLE_MAX_Z = 6
BML_SAMPLE_MAX_DIM = 8
bml_sample_density = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
bml_sample_map = CFUNCTYPE(None, c_void_p, c_void_p, c_int, c_void_p)


class bml_sample_rng(Structure):
    _fields_ = [
        ("key", c_uint32 * 2),
        ("counter", c_uint32 * 4),
        ("block", c_uint32 * 4),
        ("used", c_uint32),
    ]


class bml_sample_compton_nodes(Structure):
    _fields_ = [
        ("n", c_float * 8192),
        ("ready", c_int),
    ]


class bml_sample_photonsf(Structure):
    _fields_ = [
        ("n", c_size_t),
        ("gamma", c_void_p),
        ("eps0", c_void_p),
        ("one_gamma", c_int),
        ("one_eps0", c_int),
        ("method", c_int),
        ("nodes", c_void_p),
        ("u", c_void_p),
        ("rest", c_void_p),
        ("gamma_stride", c_int),
        ("eps0_stride", c_int),
        ("u_stride", c_int),
        ("rest_stride", c_int),
        ("energy_stride", c_int),
    ]


class bml_sample_photons(Structure):
    _fields_ = [
        ("n", c_size_t),
        ("gamma", c_void_p),
        ("eps0", c_void_p),
        ("one_gamma", c_int),
        ("one_eps0", c_int),
        ("method", c_int),
        ("nodes", c_void_p),
        ("u", c_void_p),
        ("rest", c_void_p),
        ("gamma_stride", c_int),
        ("eps0_stride", c_int),
        ("u_stride", c_int),
        ("rest_stride", c_int),
        ("energy_stride", c_int),
    ]


class bml_sample_rates(Structure):
    _fields_ = [
        ("rate", c_double),
        ("loss", c_double),
        ("mean_energy", c_double),
        ("mean_rest", c_double),
    ]


class bml_sample_event(Structure):
    _fields_ = [
        ("gamma", c_double),
        ("eps0", c_double),
        ("eps", c_double),
    ]


class bml_sample_collision(Structure):
    _fields_ = [
        ("gamma", c_double),
        ("electron", c_void_p),
        ("eps0", c_double),
        ("photon", c_void_p),
    ]


class bml_sample_scattered(Structure):
    _fields_ = [
        ("eps", c_double),
        ("gamma", c_double),
        ("minus", c_double),
        ("out", c_double * 3),
    ]


class bml_sample_stokes(Structure):
    _fields_ = [
        ("q", c_double),
        ("u", c_double),
        ("v", c_double),
        ("axis", c_double * 3),
    ]


class bml_sample_thermal_nodes(Structure):
    _fields_ = [
        ("recoil", c_float * 8192),
        ("momentum", c_float * 8192),
        ("cross_section", c_float * 4096),
        ("ready", c_int),
    ]


class bml_sample_medium(Structure):
    _fields_ = [
        ("theta", c_float),
        ("nodes", c_void_p),
    ]


class bml_sample_qed_nodes(Structure):
    _fields_ = [
        ("emission", c_float * 8192),
        ("pair", c_float * 8192),
        ("emission_rate", c_float * 64),
        ("pair_rate", c_float * 64),
        ("ready", c_int),
    ]


class bml_sample_synchrotron(Structure):
    _fields_ = [
        ("ln_x", c_double * 512),
        ("ln_below", c_double * 512),
        ("ln_above", c_double * 512),
        ("slope_below", c_double * 512),
        ("slope_above", c_double * 512),
        ("ready", c_int),
    ]


class bml_sample_power(Structure):
    _fields_ = [
        ("lower", c_double),
        ("upper", c_double),
        ("index", c_double),
        ("break_at", c_double),
        ("index_above", c_double),
    ]


class bml_sample_table_config(Structure):
    _fields_ = [
        ("density", bml_sample_density),
        ("user", c_void_p),
        ("z", c_void_p),
        ("lower", c_double),
        ("upper", c_double),
        ("tolerance", c_double),
        ("max_intervals", c_int),
        ("centre", c_double),
        ("breaks", c_void_p),
        ("n_breaks", c_int),
        ("look", c_int),
    ]


class bml_sample_grid_config(Structure):
    _fields_ = [
        ("density", bml_sample_density),
        ("user", c_void_p),
        ("lower", c_double),
        ("upper", c_double),
        ("n_z", c_int),
        ("z_lower", c_void_p),
        ("z_upper", c_void_p),
        ("z_nodes", c_void_p),
        ("u_nodes", c_int),
    ]


class bml_sample_cells_config(Structure):
    _fields_ = [
        ("density", bml_sample_density),
        ("user", c_void_p),
        ("n_dim", c_int),
        ("n_z", c_int),
        ("lower", c_void_p),
        ("upper", c_void_p),
        ("z_lower", c_void_p),
        ("z_upper", c_void_p),
        ("z_nodes", c_void_p),
        ("tolerance", c_double),
        ("max_cells", c_int),
    ]


class bml_sample_rejection(Structure):
    _fields_ = [
        ("density", bml_sample_density),
        ("user", c_void_p),
        ("z", c_void_p),
        ("lower", c_double),
        ("upper", c_double),
        ("bound", c_double),
    ]


class bml_sample_ratio(Structure):
    _fields_ = [
        ("density", bml_sample_density),
        ("user", c_void_p),
        ("z", c_void_p),
        ("s_max", c_double),
        ("v_min", c_double),
        ("v_max", c_double),
    ]


class bml_sample_net_call(Structure):
    _fields_ = [
        ("n", c_size_t),
        ("u", c_void_p),
        ("z", c_void_p),
        ("one_z", c_int),
    ]


class bml_sample_quality(Structure):
    _fields_ = [
        ("max_error", c_double),
        ("mean_error", c_double),
        ("js", c_double),
        ("falls", c_size_t),
    ]


class bml_sample_check(Structure):
    _fields_ = [
        ("inverse", bml_sample_map),
        ("cdf", bml_sample_map),
        ("user", c_void_p),
        ("n", c_int),
        ("bins", c_int),
    ]


class bml_sample_divergence(Structure):
    _fields_ = [
        ("js", c_double),
        ("noise", c_double),
        ("noise_sd", c_double),
    ]


# ---- bml_ssc.h
BML_SSC_OK = 0
BML_SSC_BAD_ARGUMENT = -1
BML_SSC_NO_MEMORY = -2
BML_SSC_CONFIG = -4
BML_SSC_PARAMETER = -5
BML_SSC_ORDER = -6
BML_SSC_SPECTRUM = -7
BML_SSC_TIME = -8
BML_SSC_OUTSIDE_TABLE = -9
BML_SSC_NOT_CONVERGED = -10
BML_SSC_POINT = -11
BML_SSC_CANCELLED = -12
BML_SSC_BAD_OBSERVER = -13
BML_SSC_BAD_FREQUENCY = -14
BML_SSC_BAD_COMPONENT = -15
BML_SSC_MESSAGE = 512
BML_SSC_CONVERGED = 0
BML_SSC_ATHENA = 1
BML_SSC_PITCH_AVERAGED = 0
BML_SSC_PITCH_90 = 1
BML_SSC_BLACK_BODY = 0
BML_SSC_FIELD_POWER_LAW = 1
BML_SSC_FIELD_TABLE = 2
BML_SSC_FIELD_SHELL = 3
BML_SSC_FIELD_RING = 4
BML_SSC_FIELD_DISC = 5
BML_SSC_FIELD_CMB = 6
BML_SSC_POWER_LAW = 0
BML_SSC_BROKEN = 1
BML_SSC_LOG_PARABOLA = 2
BML_SSC_CUTOFF = 3
BML_SSC_TABLE = 4
BML_SSC_SSA_OFF = 0
BML_SSC_SSA = 1
BML_SSC_SSA_HEATING = 2
BML_SSC_RATE = 0
BML_SSC_SPHERE = 1
BML_SSC_TOTAL = 0
BML_SSC_SYNCHROTRON = 1
BML_SSC_COMPTON = 2
BML_SSC_EXTERNAL = 3
BML_SSC_EXCHANGED = 4
BML_SSC_LINE_SHELLS = 19


class bml_ssc_config(Structure):
    _fields_ = [
        ("grid", c_int),
        ("spacing", c_double),
        ("time_step", c_double),
        ("pitch", c_int),
        ("light_travel", c_int),
    ]


class bml_ssc_external(Structure):
    _fields_ = [
        ("kind", c_int),
        ("energy_density", c_double),
        ("temperature", c_double),
        ("x_min", c_double),
        ("x_max", c_double),
        ("index", c_double),
        ("table_x", c_void_p),
        ("table_n", c_void_p),
        ("n_table", c_int),
        ("L_disc", c_double),
        ("fraction", c_double),
        ("radius", c_double),
        ("M_bh", c_double),
        ("efficiency", c_double),
        ("r_in", c_double),
        ("r_out", c_double),
        ("redshift", c_double),
        ("monochromatic", c_int),
        ("isotropic", c_int),
    ]


class bml_ssc_drive(Structure):
    _fields_ = [
        ("injection", c_double),
        ("B", c_double),
        ("R", c_double),
    ]


class bml_ssc_exchange(Structure):
    _fields_ = [
        ("t", c_double),
        ("dt", c_double),
        ("pass", c_int),
        ("n_electrons", c_int),
        ("n_photons", c_int),
        ("R", c_double),
        ("B", c_double),
        ("dilution", c_double),
        ("gamma", c_void_p),
        ("width", c_void_p),
        ("N", c_void_p),
        ("x", c_void_p),
        ("n", c_void_p),
        ("outside", c_void_p),
        ("electrons", c_void_p),
        ("photons", c_void_p),
        ("absorption", c_void_p),
    ]


class bml_ssc_source(Structure):
    _fields_ = [
        ("R", c_double),
        ("B", c_double),
        ("gamma_min", c_double),
        ("gamma_max", c_double),
        ("compactness", c_double),
        ("L_e", c_double),
        ("p", c_double),
        ("t_end", c_double),
        ("electron_escape", c_double),
        ("photon_escape", c_int),
        ("injection", c_int),
        ("gamma_break", c_double),
        ("p2", c_double),
        ("curvature", c_double),
        ("table_gamma", c_void_p),
        ("table_q", c_void_p),
        ("n_table", c_int),
        ("self_absorption", c_int),
        ("pair_production", c_int),
        ("external", c_void_p),
        ("n_external", c_int),
        ("distance", c_double),
        ("Gamma", c_double),
        ("delta", c_double),
        ("expansion_speed", c_double),
        ("field_index", c_double),
        ("gamma_top", c_double),
        ("drive", CFUNCTYPE(None, c_void_p, c_double, c_void_p)),
        ("exchange", CFUNCTYPE(c_int, c_void_p, c_void_p)),
        ("user", c_void_p),
    ]


class bml_ssc_ebl(Structure):
    _fields_ = [
        ("z", c_void_p),
        ("log10_nu", c_void_p),
        ("tau", c_void_p),
        ("n_z", c_int),
        ("n_nu", c_int),
    ]


class bml_ssc_observer(Structure):
    _fields_ = [
        ("redshift", c_double),
        ("delta", c_double),
        ("H0", c_double),
        ("omega_m", c_double),
        ("distance", c_double),
        ("ebl", c_void_p),
    ]


class bml_ssc_balance(Structure):
    _fields_ = [
        ("injected", c_double),
        ("electrons", c_double),
        ("photons", c_double),
        ("escaped_electrons", c_double),
        ("escaped_photons", c_double),
        ("cooled", c_double),
        ("expansion", c_double),
        ("exchanged", c_double),
        ("residual", c_double),
    ]


class bml_ssc_derived(Structure):
    _fields_ = [
        ("U_e", c_double),
        ("U_B", c_double),
        ("U_rad", c_double),
        ("L_injected", c_double),
        ("P_jet", c_double),
        ("nu_synchrotron", c_double),
        ("L_synchrotron", c_double),
        ("nu_compton", c_double),
        ("L_compton", c_double),
        ("compton_dominance", c_double),
    ]


class bml_ssc_path(Structure):
    _fields_ = [
        ("fields", c_void_p),
        ("n_fields", c_int),
        ("distance", c_double),
        ("redshift", c_double),
    ]


class bml_ssc_point(Structure):
    _fields_ = [
        ("nu", c_double),
        ("nuFnu", c_double),
        ("sigma_lo", c_double),
        ("sigma_hi", c_double),
        ("upper_limit", c_int),
    ]


class bml_ssc_batch_job(Structure):
    _fields_ = [
        ("out", c_void_p),
        ("status", c_void_p),
        ("sources", c_void_p),
        ("observers", c_void_p),
        ("grid", c_void_p),
        ("n_sources", c_int),
        ("n", c_int),
        ("component", c_int),
        ("threads", c_int),
    ]


# ---- examples/common/bml_onnx.h
BML_ONNX_OK = 0
BML_ONNX_BAD_ARGUMENT = -1
BML_ONNX_NO_MEMORY = -2
BML_ONNX_CANNOT_OPEN = -3
BML_ONNX_BAD_FILE = -4
BML_ONNX_UNKNOWN = -5
BML_ONNX_MESSAGE = 512


# ---- examples/common/bml_sed.h
BML_SED_OK = 0
BML_SED_BAD_ARGUMENT = -1
BML_SED_NO_MEMORY = -2
BML_SED_BAD_FILE = -4
BML_SED_OBSERVER = -5
BML_SED_POINT = -6
BML_SED_MESSAGE = 512
BML_SED_INSTRUMENT = 32
BML_SED_SOURCE = 64
BML_SED_NOTES = 16
BML_SED_NOTE = 240
BML_SED_SPECTRUM = 500
BML_SED_GRADIENT = 8


class bml_sed_options(Structure):
    _fields_ = [
        ("confidence", c_double),
        ("error_floor", c_double),
        ("nu_min", c_double),
        ("nu_max", c_double),
        ("redshift", c_double),
        ("source_frame", c_int),
        ("columns", c_char_p),
        ("source", c_char_p),
        ("skip", c_void_p),
        ("n_skip", c_int),
        ("unchecked", c_int),
    ]


class bml_sed_table(Structure):
    _fields_ = [
        ("point", c_void_p),
        ("instrument", c_void_p),
        ("bin", c_void_p),
        ("n", c_int),
        ("redshift", c_double),
        ("source", c_char * 64),
        ("n_notes", c_int),
        ("note", c_char * 240 * 16),
    ]


class bml_sed_prior_row(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("kind", c_int),
        ("lower", c_double),
        ("upper", c_double),
        ("mean", c_double),
        ("sd", c_double),
        ("x", c_void_p),
        ("density", c_void_p),
        ("n", c_int),
    ]


class bml_sed_prior(Structure):
    _fields_ = [
        ("row", c_void_p),
        ("n", c_int),
    ]


class bml_sed_surrogate_info(Structure):
    _fields_ = [
        ("grid", c_int),
        ("self_absorption", c_int),
        ("pair_production", c_int),
        ("lo", c_double * 6),
        ("hi", c_double * 6),
        ("span", c_double),
        ("n_params", c_size_t),
    ]


class bml_sed_rows(Structure):
    _fields_ = [
        ("row", c_void_p),
        ("delta", c_void_p),
        ("ln_f", c_void_p),
        ("n", c_int),
        ("threads", c_int),
        ("own_error", c_int),
        ("observer", c_void_p),
    ]


FUNCTIONS = {
    "bml_classify_strerror": (c_char_p, [c_int]),
    "bml_classify_philox": (None, [c_void_p, c_void_p, c_void_p]),
    "bml_classify_rng_init": (None, [c_void_p, c_uint64, c_uint64]),
    "bml_classify_rng_u32": (c_uint32, [c_void_p]),
    "bml_classify_rng_uniform": (c_double, [c_void_p]),
    "bml_classify_rng_normal": (c_double, [c_void_p]),
    "bml_classify_table_parse": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, c_void_p]),
    "bml_classify_table_read": (c_int, [c_void_p, c_char_p, c_void_p]),
    "bml_classify_table_free": (None, [c_void_p]),
    "bml_classify_table_find": (c_int, [c_void_p, c_char_p]),
    "bml_classify_table_numbers": (c_int, [c_void_p, c_void_p, c_int, c_void_p]),
    "bml_classify_catalog_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_classify_catalog_free": (None, [c_void_p]),
    "bml_classify_kind": (c_int, [c_char_p]),
    "bml_classify_match_pulsars": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "bml_classify_join": (c_int, [c_void_p, c_void_p, c_void_p, c_double, c_void_p]),
    "bml_classify_data_from_catalog": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "bml_classify_data_from_table": (c_int, [c_void_p, c_void_p, c_char_p, c_void_p]),
    "bml_classify_data_join": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "bml_classify_data_free": (None, [c_void_p]),
    "bml_classify_data_columns": (None, [c_void_p, c_void_p, c_void_p, c_int, c_char_p]),
    "bml_classify_split": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_double, c_uint64, c_void_p]),
    "bml_classify_folds": (c_int, [c_void_p, c_void_p, c_void_p, c_int, c_int, c_uint64, c_void_p]),
    "bml_classify_model_name": (c_char_p, [c_int]),
    "bml_classify_fit": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_void_p]),
    "bml_classify_predict": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_model_free": (None, [c_void_p]),
    "bml_classify_model_weights": (c_void_p, [c_void_p]),
    "bml_classify_model_temperature": (c_double, [c_void_p]),
    "bml_classify_verdict": (c_int, [c_void_p, c_int, c_double]),
    "bml_classify_auc": (c_double, [c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_delong": (c_int, [c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_int]),
    "bml_classify_pr_auc": (c_double, [c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_curve": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_nearest_threshold": (c_double, [c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_threshold": (c_int, [c_void_p, c_double, c_double, c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_cost_curve": (c_int, [c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_confusion": (None, [c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_int, c_double]),
    "bml_classify_calibration_curve": (None, [c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_kappa": (c_double, [c_void_p, c_void_p, c_int, c_int]),
    "bml_classify_mean_sd": (None, [c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_score": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_int]),
    "bml_classify_cross_validate": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_void_p]),
    "bml_classify_temperature": (c_double, [c_void_p, c_void_p, c_int, c_int]),
    "bml_classify_isotonic": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_isotonic_at": (c_double, [c_void_p, c_void_p, c_int, c_double]),
    "bml_classify_permutation_importance": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_int, c_uint64]),
    "bml_classify_gradient_importance": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_int]),
    "bml_classify_domain_distance": (c_int, [c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_int, c_void_p, c_int]),
    "bml_classify_match_weights": (c_int, [c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_int, c_int]),
    "bml_hadron_strerror": (c_char_p, [c_int]),
    "bml_hadron_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_hadron_free": (None, [c_void_p]),
    "bml_hadron_blob_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_hadron_blob_free": (None, [c_void_p]),
    "bml_hadron_gamma_top": (c_double, [c_double, c_double, c_double]),
    "bml_hadron_begin": (c_int, [c_void_p, c_void_p]),
    "bml_hadron_exchange": (c_int, [c_void_p, c_void_p]),
    "bml_hadron_rates": (c_int, [c_void_p, c_void_p]),
    "bml_hadron_message": (c_char_p, [c_void_p]),
    "bml_hadron_spectrum": (c_int, [c_void_p, c_void_p, c_int, c_void_p, c_int]),
    "bml_hadron_protons": (c_int, [c_void_p, c_void_p, c_int, c_void_p]),
    "bml_hadron_losses": (c_int, [c_void_p, c_void_p, c_int, c_void_p, c_int]),
    "bml_hadron_neutrinos": (c_int, [c_void_p, c_void_p, c_int, c_void_p, c_void_p]),
    "bml_hadron_events": (c_int, [c_void_p, c_void_p, c_double, c_void_p, c_void_p]),
    "bml_hadron_log_poisson": (c_double, [c_int, c_double]),
    "bml_hadron_energy": (c_int, [c_void_p, c_void_p]),
    "bml_hadron_derive": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_strerror": (c_char_p, [c_int]),
    "bml_mcmc_philox": (None, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_rng_init": (None, [c_void_p, c_uint64, c_uint64]),
    "bml_mcmc_rng_u32": (c_uint32, [c_void_p]),
    "bml_mcmc_rng_uniform": (c_double, [c_void_p]),
    "bml_mcmc_rng_normal": (c_double, [c_void_p]),
    "bml_mcmc_prior_create": (c_int, [c_void_p, c_void_p, c_int, c_void_p]),
    "bml_mcmc_prior_free": (None, [c_void_p]),
    "bml_mcmc_prior_log_density": (c_double, [c_void_p, c_void_p]),
    "bml_mcmc_prior_transform": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_prior_inverse": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_prior_limits": (None, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_ensemble_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_ensemble_free": (None, [c_void_p]),
    "bml_mcmc_ensemble_message": (c_char_p, [c_void_p]),
    "bml_mcmc_move_name": (c_char_p, [c_int]),
    "bml_mcmc_start_ball": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_start_prior": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_start_given": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_run": (c_int, [c_void_p, c_size_t]),
    "bml_mcmc_ensemble_clear": (None, [c_void_p]),
    "bml_mcmc_ensemble_chain": (bml_mcmc_chain, [c_void_p]),
    "bml_mcmc_ensemble_derived": (bml_mcmc_chain, [c_void_p]),
    "bml_mcmc_ensemble_get_info": (bml_mcmc_ensemble_info, [c_void_p]),
    "bml_mcmc_ensemble_save_size": (c_size_t, [c_void_p]),
    "bml_mcmc_ensemble_save": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_ensemble_load": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_chain_drop": (bml_mcmc_chain, [bml_mcmc_chain, c_size_t]),
    "bml_mcmc_autocorrelation": (c_int, [c_void_p, bml_mcmc_chain]),
    "bml_mcmc_summarize": (c_int, [c_void_p, bml_mcmc_chain]),
    "bml_mcmc_ensemble_summary": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_quantile": (c_double, [c_void_p, c_size_t, c_double]),
    "bml_mcmc_chain_verdict": (c_int, [c_void_p, bml_mcmc_chain, c_void_p]),
    "bml_mcmc_ensemble_verdict": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_run_until": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_nested_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_nested_free": (None, [c_void_p]),
    "bml_mcmc_nested_message": (c_char_p, [c_void_p]),
    "bml_mcmc_nested_run": (c_int, [c_void_p, c_uint64]),
    "bml_mcmc_nested_get_result": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_nested_reweigh": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_nested_draw": (c_int, [c_void_p, c_void_p, c_void_p, c_size_t, c_uint64]),
    "bml_mcmc_nested_summary": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_nested_verdict": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_nested_save_size": (c_size_t, [c_void_p]),
    "bml_mcmc_nested_save": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_nested_load": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_importance_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_importance_free": (None, [c_void_p]),
    "bml_mcmc_importance_message": (c_char_p, [c_void_p]),
    "bml_mcmc_importance_run": (c_int, [c_void_p, c_uint64]),
    "bml_mcmc_importance_get_result": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_importance_reweigh": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_importance_draw": (c_int, [c_void_p, c_void_p, c_void_p, c_size_t, c_uint64]),
    "bml_mcmc_importance_summary": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_importance_verdict": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_importance_save_size": (c_size_t, [c_void_p]),
    "bml_mcmc_importance_save": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_importance_load": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_nuts_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_mcmc_nuts_free": (None, [c_void_p]),
    "bml_mcmc_nuts_message": (c_char_p, [c_void_p]),
    "bml_mcmc_nuts_start": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_nuts_start_prior": (c_int, [c_void_p]),
    "bml_mcmc_nuts_run": (c_int, [c_void_p, c_size_t]),
    "bml_mcmc_nuts_chain": (bml_mcmc_chain, [c_void_p]),
    "bml_mcmc_nuts_get_info": (bml_mcmc_nuts_info, [c_void_p]),
    "bml_mcmc_nuts_verdict": (c_int, [c_void_p, c_void_p]),
    "bml_mcmc_check_gradient": (c_int, [c_void_p, bml_mcmc_gradient, c_void_p, c_void_p, c_int, c_void_p]),
    "bml_mcmc_nuts_save_size": (c_size_t, [c_void_p]),
    "bml_mcmc_nuts_save": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_nuts_load": (c_int, [c_void_p, c_void_p, c_size_t]),
    "bml_mcmc_sbc_ranks": (c_int, [c_void_p, bml_mcmc_chain, c_void_p, c_int]),
    "bml_mcmc_sbc_p_value": (c_double, [c_void_p, c_int, c_int, c_int]),
    "bml_mcmc_coverage": (c_int, [c_void_p, c_void_p, c_void_p, c_int, c_int, c_double]),
    "bml_mcmc_chi2_survival": (c_double, [c_double, c_double]),
    "bml_nn_strerror": (c_char_p, [c_int]),
    "bml_nn_philox": (None, [c_void_p, c_void_p, c_void_p]),
    "bml_nn_rng_init": (None, [c_void_p, c_uint64, c_uint64]),
    "bml_nn_rng_u32": (c_uint32, [c_void_p]),
    "bml_nn_rng_uniform": (c_double, [c_void_p]),
    "bml_nn_rng_normal": (c_double, [c_void_p]),
    "bml_nn_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_nn_free": (None, [c_void_p]),
    "bml_nn_message": (c_char_p, [c_void_p]),
    "bml_nn_n_in": (c_size_t, [c_void_p]),
    "bml_nn_n_out": (c_size_t, [c_void_p]),
    "bml_nn_n_params": (c_size_t, [c_void_p]),
    "bml_nn_params": (c_void_p, [c_void_p]),
    "bml_nn_tensor": (c_void_p, [c_void_p, c_char_p, c_void_p]),
    "bml_nn_summary": (c_size_t, [c_void_p, c_size_t, c_void_p]),
    "bml_nn_set_scaler": (c_int, [c_void_p, c_int, c_void_p, c_void_p]),
    "bml_nn_fit_scaler": (c_int, [c_void_p, c_int, c_int, c_void_p, c_size_t]),
    "bml_nn_set_text": (c_int, [c_void_p, c_char_p, c_char_p]),
    "bml_nn_get_text": (c_char_p, [c_void_p, c_char_p]),
    "bml_nn_set_array": (c_int, [c_void_p, c_char_p, c_void_p, c_size_t]),
    "bml_nn_get_array": (c_void_p, [c_void_p, c_char_p, c_void_p]),
    "bml_nn_work_create": (c_int, [c_void_p, c_void_p, c_int, c_int, c_void_p]),
    "bml_nn_work_free": (None, [c_void_p]),
    "bml_nn_predict": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t]),
    "bml_nn_draws": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_int, c_uint64]),
    "bml_nn_summarize_draws": (c_int, [c_void_p, c_void_p, c_int, c_size_t]),
    "bml_nn_vjp": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t]),
    "bml_nn_gradient": (c_int, [c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_size_t]),
    "bml_nn_train": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_nn_trainer_create": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "bml_nn_trainer_free": (None, [c_void_p]),
    "bml_nn_trainer_run": (c_int, [c_void_p, c_int]),
    "bml_nn_trainer_done": (c_int, [c_void_p]),
    "bml_nn_trainer_last": (bml_nn_epoch, [c_void_p]),
    "bml_nn_split": (c_int, [c_void_p, c_void_p, c_int, c_void_p, c_size_t, c_uint64]),
    "bml_nn_evaluate": (c_int, [c_void_p, c_void_p, c_void_p, c_size_t, c_size_t]),
    "bml_nn_ks": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t]),
    "bml_nn_dtw": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t]),
    "bml_nn_encode": (c_int, [c_void_p, c_void_p, c_void_p, c_int]),
    "bml_nn_free_bytes": (None, [c_void_p]),
    "bml_nn_decode": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "bml_nn_save": (c_int, [c_void_p, c_char_p, c_int]),
    "bml_nn_load": (c_int, [c_void_p, c_char_p, c_void_p]),
    "bml_nn_load_weights": (c_int, [c_void_p, c_char_p, c_int]),
    "bml_nn_import_weights": (c_int, [c_void_p, c_char_p, c_void_p]),
    "bml_nn_trainer_save": (c_int, [c_void_p, c_char_p]),
    "bml_nn_trainer_load": (c_int, [c_void_p, c_char_p]),
    "bml_sample_strerror": (c_char_p, [c_int]),
    "bml_sample_philox": (None, [c_void_p, c_void_p, c_void_p]),
    "bml_sample_rng_init": (None, [c_void_p, c_uint64, c_uint64]),
    "bml_sample_rng_u32": (c_uint32, [c_void_p]),
    "bml_sample_rng_uniform": (c_double, [c_void_p]),
    "bml_sample_rng_normal": (c_double, [c_void_p]),
    "bml_sample_rng_gamma": (c_double, [c_void_p, c_int]),
    "bml_sample_rng_fill": (None, [c_void_p, c_size_t, c_void_p]),
    "bml_sample_rng_normals": (None, [c_void_p, c_size_t, c_void_p]),
    "bml_sample_compton_table": (c_int, [c_void_p]),
    "bml_sample_comptonf": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_sample_compton": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_sample_compton_find": (c_size_t, [c_void_p]),
    "bml_sample_compton_findf": (c_size_t, [c_void_p]),
    "bml_sample_compton_cdf": (c_int, [c_void_p, c_double, c_double, c_double]),
    "bml_sample_compton_pdf": (c_int, [c_void_p, c_double, c_double, c_double]),
    "bml_sample_compton_rates": (c_int, [c_void_p, c_double]),
    "bml_sample_compton_direction": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "bml_sample_scatter": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "bml_sample_scatter_stokes": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "bml_sample_klein_nishina": (c_double, [c_double]),
    "bml_sample_thermal_table": (c_int, [c_void_p]),
    "bml_sample_qed_table": (c_int, [c_void_p]),
    "bml_sample_thermal_electrons": (c_int, [c_void_p, c_size_t, c_double, c_void_p]),
    "bml_sample_black_body": (c_int, [c_void_p, c_size_t, c_int, c_void_p]),
    "bml_sample_synchrotron_init": (c_int, [c_void_p, c_int]),
    "bml_sample_synchrotron_draw": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "bml_sample_power_law": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "bml_sample_table_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_sample_table_from_samples": (c_int, [c_void_p, c_void_p, c_size_t, c_int, c_void_p]),
    "bml_sample_table_free": (None, [c_void_p]),
    "bml_sample_table_message": (c_char_p, [c_void_p]),
    "bml_sample_table_error": (c_double, [c_void_p]),
    "bml_sample_table_integral": (c_double, [c_void_p]),
    "bml_sample_table_intervals": (c_int, [c_void_p]),
    "bml_sample_table_inverse": (c_int, [c_void_p, c_void_p, c_void_p, c_size_t]),
    "bml_sample_table_draw": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "bml_sample_table_cdf": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t]),
    "bml_sample_grid_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_sample_grid_free": (None, [c_void_p]),
    "bml_sample_grid_message": (c_char_p, [c_void_p]),
    "bml_sample_grid_error": (c_double, [c_void_p]),
    "bml_sample_grid_draw": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p]),
    "bml_sample_cells_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_sample_cells_free": (None, [c_void_p]),
    "bml_sample_cells_message": (c_char_p, [c_void_p]),
    "bml_sample_cells_error": (c_double, [c_void_p]),
    "bml_sample_cells_count": (c_double, [c_void_p]),
    "bml_sample_cells_draw": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p, c_int, c_void_p]),
    "bml_sample_alias_create": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "bml_sample_alias_free": (None, [c_void_p]),
    "bml_sample_alias_draw": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "bml_sample_reject": (c_int, [c_void_p, c_size_t, c_void_p, c_void_p]),
    "bml_sample_ratio_of_uniforms": (c_int, [c_void_p, c_size_t, c_void_p, c_void_p]),
    "bml_sample_net_create": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "bml_sample_net_free": (None, [c_void_p]),
    "bml_sample_net_dims": (c_int, [c_void_p, c_void_p]),
    "bml_sample_net_array": (c_void_p, [c_void_p, c_void_p]),
    "bml_sample_net_draw": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "bml_sample_net_write": (c_size_t, [c_void_p, c_size_t, c_void_p, c_char_p]),
    "bml_sample_net_safetensors": (c_size_t, [c_void_p, c_size_t, c_void_p]),
    "bml_sample_check_inverse": (c_int, [c_void_p, c_void_p]),
    "bml_sample_histogram": (c_int, [c_void_p, c_void_p, c_void_p, c_int]),
    "bml_ssc_strerror": (c_char_p, [c_int]),
    "bml_ssc_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_ssc_free": (None, [c_void_p]),
    "bml_ssc_blob_create": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_ssc_blob_free": (None, [c_void_p]),
    "bml_ssc_source_from_row": (None, [c_void_p, c_void_p]),
    "bml_ssc_gamma_confined": (c_double, [c_double, c_double]),
    "bml_ssc_begin": (c_int, [c_void_p, c_void_p]),
    "bml_ssc_advance": (c_int, [c_void_p, c_double]),
    "bml_ssc_steady": (c_int, [c_void_p, c_double]),
    "bml_ssc_solve": (c_int, [c_void_p, c_void_p]),
    "bml_ssc_message": (c_char_p, [c_void_p]),
    "bml_ssc_spectrum": (c_int, [c_void_p, c_void_p, c_int, c_void_p, c_int]),
    "bml_ssc_electrons": (c_int, [c_void_p, c_void_p, c_int, c_void_p]),
    "bml_ssc_ebl_depth": (c_int, [c_void_p, c_void_p, c_double, c_double]),
    "bml_ssc_luminosity_distance": (c_double, [c_double, c_double, c_double]),
    "bml_ssc_sed": (c_int, [c_void_p, c_void_p, c_int, c_void_p, c_void_p, c_int]),
    "bml_ssc_energy": (c_int, [c_void_p, c_void_p]),
    "bml_ssc_derive": (c_int, [c_void_p, c_void_p, c_void_p]),
    "bml_ssc_field_energy": (c_int, [c_void_p, c_void_p, c_double, c_double, c_void_p]),
    "bml_ssc_broad_lines": (c_int, [c_void_p, c_double, c_double, c_double, c_void_p]),
    "bml_ssc_field_depth": (c_int, [c_void_p, c_void_p, c_int, c_void_p, c_void_p]),
    "bml_ssc_thermal_sed": (c_int, [c_void_p, c_void_p, c_int, c_void_p, c_void_p, c_void_p]),
    "bml_ssc_host_sed": (c_int, [c_void_p, c_void_p, c_int, c_double, c_void_p]),
    "bml_ssc_point_errors": (None, [c_void_p, c_double, c_double]),
    "bml_ssc_log_likelihood": (c_int, [c_void_p, c_void_p, c_void_p, c_int, c_double]),
    "bml_ssc_batch": (c_int, [c_void_p, c_void_p]),
    "bml_onnx_strerror": (c_char_p, [c_int]),
    "bml_onnx_load": (c_int, [c_void_p, c_char_p, c_void_p]),
    "bml_onnx_parse": (c_int, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "bml_sed_strerror": (c_char_p, [c_int]),
    "bml_sed_read": (c_int, [c_void_p, c_char_p, c_void_p, c_void_p]),
    "bml_sed_parse": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, c_void_p, c_void_p]),
    "bml_sed_free": (None, [c_void_p]),
    "bml_sed_ebl_read": (c_int, [c_void_p, c_char_p, c_void_p]),
    "bml_sed_ebl_free": (None, [c_void_p]),
    "bml_sed_ebl_depths": (c_void_p, [c_void_p]),
    "bml_sed_prior_read": (c_int, [c_void_p, c_char_p, c_void_p]),
    "bml_sed_prior_free": (None, [c_void_p]),
    "bml_sed_log_likelihood": (c_int, [c_void_p, c_void_p, c_int, c_void_p, c_int, c_void_p]),
    "bml_sed_surrogate_load": (c_int, [c_void_p, c_char_p, c_void_p]),
    "bml_sed_surrogate_free": (None, [c_void_p]),
    "bml_sed_surrogate_get_info": (c_int, [c_void_p, c_void_p]),
    "bml_sed_surrogate_error": (c_double, [c_void_p, c_double]),
    "bml_sed_surrogate_outside": (c_char_p, [c_void_p, c_void_p]),
    "bml_sed_surrogate_spectra": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "bml_sed_surrogate_fluxes": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_void_p]),
    "bml_sed_surrogate_log_likelihood": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_void_p]),
    "bml_sed_surrogate_gradient": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_int, c_void_p]),
}
STRUCTURES = [bml_classify_rng, bml_classify_column, bml_classify_table, bml_classify_report, bml_classify_catalog, bml_classify_data, bml_classify_features, bml_classify_config, bml_classify_cut, bml_classify_scores, bml_hadron_config, bml_hadron_source, bml_hadron_field, bml_hadron_given, bml_hadron_observer, bml_hadron_area, bml_hadron_balance, bml_hadron_derived, bml_mcmc_rng, bml_mcmc_prior_param, bml_mcmc_move, bml_mcmc_progress, bml_mcmc_config, bml_mcmc_chain, bml_mcmc_ensemble_info, bml_mcmc_summary, bml_mcmc_reason, bml_mcmc_verdict, bml_mcmc_goal, bml_mcmc_nested_progress, bml_mcmc_nested_config, bml_mcmc_nested_result, bml_mcmc_importance_progress, bml_mcmc_importance_config, bml_mcmc_importance_result, bml_mcmc_nuts_progress, bml_mcmc_nuts_config, bml_mcmc_nuts_info, bml_nn_rng, bml_nn_layer, bml_nn_config, bml_nn_spread, bml_nn_batch, bml_nn_epoch, bml_nn_batch_step, bml_nn_training, bml_nn_metrics, bml_nn_alias, bml_nn_import, bml_sample_rng, bml_sample_compton_nodes, bml_sample_photonsf, bml_sample_photons, bml_sample_rates, bml_sample_event, bml_sample_collision, bml_sample_scattered, bml_sample_stokes, bml_sample_thermal_nodes, bml_sample_medium, bml_sample_qed_nodes, bml_sample_synchrotron, bml_sample_power, bml_sample_table_config, bml_sample_grid_config, bml_sample_cells_config, bml_sample_rejection, bml_sample_ratio, bml_sample_net_call, bml_sample_quality, bml_sample_check, bml_sample_divergence, bml_ssc_config, bml_ssc_external, bml_ssc_drive, bml_ssc_exchange, bml_ssc_source, bml_ssc_ebl, bml_ssc_observer, bml_ssc_balance, bml_ssc_derived, bml_ssc_path, bml_ssc_point, bml_ssc_batch_job, bml_sed_options, bml_sed_table, bml_sed_prior_row, bml_sed_prior, bml_sed_surrogate_info, bml_sed_rows]
