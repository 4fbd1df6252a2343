"""NeuralRegressor and NeuralClassifier: estimators of scikit-learn over a bag of nets."""

from __future__ import annotations

import itertools
import numbers
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thetahat.core.errors import InputError, MissingExtra, check_choice
from thetahat.core.numbers import is_number
from thetahat.core.table_net import (
    CLASS_RATE,
    DECAY,
    DEPTH,
    MEMBERS,
    RATE,
    WIDTH,
    net_activation,
)
from thetahat.sklearn._nets import ACTIVATIONS, mean_probabilities, sigmoid

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise MissingExtra("thetahat.sklearn", "sklearn") from error

if TYPE_CHECKING:
    from thetahat.sklearn._nets import Nets
    from thetahat.sklearn._train import NetSetting, TrainedNets

LOSSES = ("squared", "absolute", "huber", "quantile", "logistic")
PREPROCESSING = ("robust", "standard")
DTYPES = ("float32", "float64")
LEAST_ROWS = 2


class EstimatorError(InputError, ValueError):
    """Wrong input of an estimator: also a ValueError, as scikit-learn's."""


class _NeuralEstimator(BaseEstimator):
    """What both estimators share: their parameters, the fit of the nets, their outputs."""

    n_seeds: int
    width: int
    depth: int
    activation: str | None
    preprocessing: str
    lr: float | None
    epochs: int | None
    batch_size: int | None
    weight_decay: float
    val: float
    patience: int | None
    random_state: Any
    warm_start: bool
    dtype: str

    nets_: Nets

    def _setting(self, loss: str, level: float, outputs: int, classes: bool) -> NetSetting:
        """Check the parameters, as scikit-learn does when the fit begins."""
        from thetahat.sklearn._train import NetSetting

        activation = self.activation or net_activation(classes)
        rate = CLASS_RATE if classes else RATE
        with _value_errors():
            check_choice("activation", activation, ACTIVATIONS)
            check_choice("preprocessing", self.preprocessing, PREPROCESSING)
            check_choice("dtype", self.dtype, DTYPES)
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) is not None:
                self._check(name, _is_whole, "an integer of at least 1, or None")
        for name in ("n_seeds", "width", "depth"):
            self._check(name, _is_whole, "an integer of at least 1")
        self._check("weight_decay", lambda v: is_number(v) and v >= 0, "a number of at least 0")
        self._check("val", lambda v: is_number(v) and 0 <= v < 1, "a share from 0 to 1, as 0.2")
        if self.lr is not None:
            self._check("lr", lambda v: is_number(v) and v > 0, "a number above 0, or None")
        return NetSetting(
            loss=loss,
            level=float(level),
            outputs=outputs,
            members=int(self.n_seeds),
            width=int(self.width),
            depth=int(self.depth),
            activation=activation,
            robust=self.preprocessing == "robust",
            lr=float(self.lr or rate),
            weight_decay=float(self.weight_decay),
            epochs=self.epochs,
            batch_size=self.batch_size,
            patience=self.patience,
            val=float(self.val),
            seed=_seed(self.random_state),
            dtype=self.dtype,
        )

    def _fold_setting(self) -> NetSetting:
        """Give the setting of one net for one target."""
        raise NotImplementedError

    def crossfit_task(self, data: Any, *, seed: Any = 0) -> Any:
        """Describe one net for the Data of a fold: ``th.crossfit`` trains all folds together."""
        from thetahat.sklearn._train import task_of

        return task_of(data, self._fold_setting(), seed)

    def _check(self, name: str, allowed: Callable[[Any], bool], fix: str) -> None:
        value = getattr(self, name)
        if not allowed(value):
            raise EstimatorError(f"{type(self).__name__}({name}={value!r}): give {fix}")

    def _fit_nets(
        self, x: np.ndarray, y: np.ndarray, weight: Any, setting: NetSetting
    ) -> TrainedNets:
        from thetahat.sklearn._train import train

        before = getattr(self, "nets_", None) if self.warm_start else None
        if before is not None:
            before = self._alike(before, setting, x.shape[1])
        with _value_errors():
            trained = train(x, y, weight, setting, before)
        if trained.nets is None:
            raise EstimatorError(
                f"none of the {setting.members} nets has a finite risk ({trained.lost[0]}); give a"
                " lower lr"
            )
        if trained.lost:
            warnings.warn(
                f"{len(trained.lost)} of {setting.members} nets have no finite risk"
                f" ({trained.lost[0]}), and the average leaves them out; give a lower lr",
                ConvergenceWarning,
                stacklevel=3,
            )
        self.nets_ = trained.nets
        self.n_iter_ = max(result.epochs for result in trained.results)
        self.best_epochs_ = np.array([result.best_epoch for result in trained.results])
        self.traces_ = trained.results[0].traces
        return trained

    def _alike(self, before: Nets, setting: NetSetting, d: int) -> Nets:
        """Check that nets may go on from those of the fit before."""
        sizes = [d, *[setting.width] * setting.depth, setting.outputs]
        shapes = [(setting.members, *pair) for pair in itertools.pairwise(sizes)]
        found = [kernel.shape for kernel in before.kernels]
        if found != shapes or before.activation != setting.activation:
            raise EstimatorError(
                f"warm_start=True: the fit before has {len(before.scale)} nets with layers"
                f" {_sizes(found)} and {before.activation}; this one has {setting.members} with"
                f" {tuple(sizes)} and {setting.activation}. Give the same, or warm_start=False"
            )
        return before

    def _scores(self, X: Any) -> np.ndarray:
        """Compute what every net gives: (K, N, out)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.nets_.outputs(X)

    @staticmethod
    def _check_rows(X: Any, y: Any, sample_weight: Any) -> None:
        """Refuse pandas rows with the same labels in another order: rows go by position."""
        from thetahat.data import check_order

        with _value_errors():
            check_order({"X": X, "y": y, "sample_weight": sample_weight})

    def _read(self, X: Any, y: Any, *, numbers: bool) -> tuple[np.ndarray, np.ndarray]:
        """Check and convert what is fitted, as scikit-learn does.

        Args:    numbers: whether y are numbers, (n,) or (n, k); else labels.
        """
        how: Any = {"dtype": np.float64, "ensure_min_samples": LEAST_ROWS}
        try:
            X, y = validate_data(self, X, y, **how, multi_output=numbers, y_numeric=numbers)
            return X, np.asarray(y, np.float64) if numbers else y
        except ValueError as error:
            if "could not convert string" not in str(error):
                raise
            raise EstimatorError(
                f"{error}; encode text as numbers, such as by OneHotEncoder in a pipeline, or leave"
                " its columns out"
            ) from None

    def _weights(self, sample_weight: Any, X: np.ndarray) -> np.ndarray | None:
        if sample_weight is None:
            return None
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if np.count_nonzero(weight) < LEAST_ROWS:
            raise EstimatorError(
                f"sample_weight: {np.count_nonzero(weight)} rows have a weight above 0; give at"
                f" least {LEAST_ROWS}"
            )
        return weight


class NeuralRegressor(RegressorMixin, _NeuralEstimator):
    """Nets for a number: the average of ``n_seeds`` nets that hold out different rows.

    The defaults are those of ``thetahat fit``. All nets train as one program.

    Args:
        loss: "squared" (the mean of y), "absolute" (the median), "huber", "quantile", or "logistic"
            (the mean of shares y from 0 to 1, which predictions stay between).
        quantile: in (0, 1), of the loss "quantile".
        delta: of the loss "huber", in standard deviations of y.
        n_seeds: nets; each holds out its own rows, and chooses its best epoch there.
        width, depth: units of each hidden layer, and hidden layers.
        activation: a name of ``th.models``; None: "mish", of shares "selu".
        preprocessing: "robust" (median and quartiles) or "standard" (mean and deviation).
        lr: the highest learning rate; None: 0.07, of shares 0.04.
        epochs: at most; None: 256, fewer on long tables.   batch_size: rows of a step; None: 256.
        weight_decay: decoupled.   val: the share of rows that a net holds out; 0: none.
        patience: epochs without a better risk of these rows; None: a quarter of epochs.
        random_state: an int, a RandomState, or None for another fit at every call.
        warm_start: go on from the nets of the fit before.
        dtype: "float32" or "float64", of training.
    Has, once fitted: ``nets_``, ``n_iter_`` (epochs), ``best_epochs_``, ``oob_prediction_`` (of
        each row by the nets that held it out; NaN where none did), ``traces_`` (0: the fit reused
        a program), ``n_features_in_``, ``feature_names_in_``.

    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 60)[:, None]
    >>> model = NeuralRegressor(width=16, epochs=64).fit(x, 3 * x[:, 0] + 1)
    >>> bool(abs(model.predict([[0.5]])[0] - 2.5) < 0.2)
    True
    """

    def __init__(
        self,
        loss: str = "squared",
        *,
        quantile: float = 0.5,
        delta: float = 1.0,
        n_seeds: int = MEMBERS,
        width: int = WIDTH,
        depth: int = DEPTH,
        activation: str | None = None,
        preprocessing: str = "robust",
        lr: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        weight_decay: float = DECAY,
        val: float = 0.2,
        patience: int | None = None,
        random_state: Any = 0,
        warm_start: bool = False,
        dtype: str = "float32",
    ) -> None:
        self.loss = loss
        self.quantile = quantile
        self.delta = delta
        self.n_seeds = n_seeds
        self.width = width
        self.depth = depth
        self.activation = activation
        self.preprocessing = preprocessing
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.val = val
        self.patience = patience
        self.random_state = random_state
        self.warm_start = warm_start
        self.dtype = dtype

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralRegressor:
        """Fit the nets.

        Args:    X: (n, d) numbers, an array or a frame.   y: (n,) or (n, k) numbers.
                 sample_weight: (n,); a weight of 2 is two rows, and of 0 none.
        Raises:  ValueError: wrong input, in one line.
        """
        self._check_rows(X, y, sample_weight)
        X, y = self._read(X, y, numbers=True)
        weight = self._weights(sample_weight, X)
        if y.ndim == 2 and y.shape[1] == 1:
            said = "A column-vector y was passed when a 1d array was expected; it is flattened"
            warnings.warn(said, DataConversionWarning, stacklevel=2)
            y = y.ravel()
        with _value_errors():
            check_choice("loss", self.loss, LOSSES)
        self._check("quantile", lambda v: is_number(v) and 0 < v < 1, "a number between 0 and 1")
        self._check("delta", lambda v: is_number(v) and v > 0, "a number above 0")
        counted = y if weight is None else y[weight > 0]
        _refuse_constant(counted)
        self._single, self._shares = y.ndim == 1, self.loss == "logistic"
        if self._shares:
            _refuse_no_shares(counted)
        trained = self._fit_nets(X, y, weight, self._own_setting(1 if y.ndim == 1 else y.shape[1]))
        self.oob_prediction_ = _outside(self._joined(self.nets_.outputs(X)), trained.held)
        return self

    def _own_setting(self, outputs: int) -> NetSetting:
        level = self.delta if self.loss == "huber" else self.quantile
        shares = self.loss == "logistic"
        return self._setting("fractional_logit" if shares else self.loss, level, outputs, shares)

    def _fold_setting(self) -> NetSetting:
        return self._own_setting(1)

    def _joined(self, outputs: np.ndarray) -> np.ndarray:
        outputs = sigmoid(outputs) if self._shares else outputs
        return outputs[..., 0] if self._single else outputs

    def predict(self, X: Any) -> np.ndarray:
        """Predict y: the average of the nets, (n,) or (n, k)."""
        return self._joined(self._scores(X)).mean(0)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute R2 of the predictions."""
        self._check_rows(X, y, sample_weight)
        return super().score(X, y, sample_weight)

    def predict_std(self, X: Any) -> np.ndarray:
        """Compute the standard deviation of the nets' predictions, (n,) or (n, k).

        It says how far a prediction depends on seed and held-out rows; it is no interval for y.
        """
        return self._joined(self._scores(X)).std(0)

    def predict_quantiles(self, X: Any, q: Sequence[float] = (0.1, 0.5, 0.9)) -> np.ndarray:
        """Compute quantiles of the nets' predictions, (n, len(q)) or (n, len(q), k).

        They say how far a prediction depends on seed and held-out rows. Quantiles of y given x are
        the predictions of ``NeuralRegressor("quantile", quantile=0.9)``.
        """
        levels = np.atleast_1d(np.asarray(q, np.float64))
        if levels.ndim != 1 or not np.all((levels >= 0) & (levels <= 1)):
            raise EstimatorError(f"q={q!r}: give levels from 0 to 1, such as (0.1, 0.5, 0.9)")
        return np.moveaxis(np.quantile(self._joined(self._scores(X)), levels, axis=0), 0, 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class NeuralClassifier(ClassifierMixin, _NeuralEstimator):
    """Nets for a class: the average probability of ``n_seeds`` nets that hold out different rows.

    Two classes take the logistic loss, more take cross-entropy. The defaults are those of
    ``thetahat fit``.

    Args:
        activation: a name of ``th.models``; None: "selu".   lr: None: 0.04.
        (the others as in ``NeuralRegressor``)
    Has, once fitted: ``classes_`` (those of rows with a weight above 0), ``oob_decision_function_``
        (the probabilities of each row by the nets that held it out, (n, k)), and as
        ``NeuralRegressor``.

    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 60)[:, None]
    >>> model = NeuralClassifier(width=16, epochs=64).fit(x, np.where(x[:, 0] > 0, "yes", "no"))
    >>> model.predict([[0.8], [-0.8]]).tolist()
    ['yes', 'no']
    """

    def __init__(
        self,
        *,
        n_seeds: int = MEMBERS,
        width: int = WIDTH,
        depth: int = DEPTH,
        activation: str | None = None,
        preprocessing: str = "robust",
        lr: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        weight_decay: float = DECAY,
        val: float = 0.2,
        patience: int | None = None,
        random_state: Any = 0,
        warm_start: bool = False,
        dtype: str = "float32",
    ) -> None:
        self.n_seeds = n_seeds
        self.width = width
        self.depth = depth
        self.activation = activation
        self.preprocessing = preprocessing
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.val = val
        self.patience = patience
        self.random_state = random_state
        self.warm_start = warm_start
        self.dtype = dtype

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralClassifier:
        """Fit the nets.

        Args:    X: (n, d) numbers, an array or a frame.   y: (n,) labels of any kind.
                 sample_weight: (n,); a weight of 2 is two rows, and of 0 none.
        Raises:  ValueError: wrong input, in one line.
        """
        self._check_rows(X, y, sample_weight)
        X, y = self._read(X, y, numbers=False)
        check_classification_targets(y)
        weight = self._weights(sample_weight, X)
        counted = np.ones(len(y), bool) if weight is None else weight > 0
        classes, seen = np.unique(y[counted], return_inverse=True)
        code = np.zeros(len(y), np.int64)  # rows of weight 0 are left out
        code[counted] = seen
        if len(classes) < 2:
            raise EstimatorError(
                f"y has one class, {classes[0].item()!r}; give at least two classes"
            )
        if self.warm_start and not np.array_equal(getattr(self, "classes_", classes), classes):
            raise EstimatorError(
                f"warm_start=True: the fit before had the classes {self.classes_.tolist()}, and y"
                f" has {classes.tolist()}; give the same, or warm_start=False"
            )
        self.classes_ = classes
        loss, outputs = ("logistic", 1) if len(classes) == 2 else ("cross_entropy", len(classes))
        trained = self._fit_nets(X, code, weight, self._setting(loss, 0.5, outputs, True))
        self.oob_decision_function_ = _outside(self._shares(self.nets_.outputs(X)), trained.held)
        return self

    def _fold_setting(self) -> NetSetting:
        return self._setting("logistic", 0.5, 1, True)

    @staticmethod
    def _shares(scores: np.ndarray) -> np.ndarray:
        """Give every net's probabilities, (K, n, k)."""
        return np.stack([mean_probabilities(one[None]) for one in scores])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute the probability of each class, (n, k), in the order of ``classes_``."""
        return mean_probabilities(self._scores(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the log odds of the second class, (n,), or log probabilities, (n, k)."""
        with np.errstate(divide="ignore"):
            logs = np.log(self.predict_proba(X))
        return logs[:, 1] - logs[:, 0] if len(self.classes_) == 2 else logs

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of the highest average probability, (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the share of labels that are right."""
        self._check_rows(X, y, sample_weight)
        return super().score(X, y, sample_weight)

    def predict_std(self, X: Any) -> np.ndarray:
        """Compute the standard deviation of the nets' probabilities, (n, k)."""
        return self._shares(self._scores(X)).std(0)


class _value_errors:  # noqa: N801 - used as a function
    """Turn wrong input into an error that is also a ValueError."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, InputError) and not isinstance(error, ValueError):
            raise EstimatorError(str(error)) from None


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 1


def _seed(random_state: Any) -> int:
    if isinstance(random_state, numbers.Integral):
        seed = int(random_state)
        if not 0 <= seed < 2**31:
            raise EstimatorError(f"random_state={seed}: give an integer from 0 to 2**31 - 1")
        return seed
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def _sizes(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return (shapes[0][1], *(shape[2] for shape in shapes))


def _refuse_constant(y: np.ndarray) -> None:
    flat = np.ptp(y, axis=0) == 0
    if np.any(flat):
        column = "" if y.ndim == 1 else f" in column {int(np.argmax(flat))}"
        value = y.reshape(len(y), -1)[0, int(np.argmax(flat))]
        raise EstimatorError(
            f"y is constant{column}: {value:g} in all {len(y)} rows; give a y that varies"
        )


def _refuse_no_shares(y: np.ndarray) -> None:
    if y.ndim > 1:
        raise EstimatorError(
            f'loss="logistic": y has {y.shape[1]} columns; give one, or an estimator for each'
        )
    if y.min() < 0 or y.max() > 1:
        raise EstimatorError(
            f'loss="logistic": y has {y.min():g} to {y.max():g}; give shares from 0 to 1, or'
            " another loss"
        )


def _outside(outputs: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Average, row by row, the outputs (K, n, ...) of the nets that held the row out."""
    shares = held.reshape(*held.shape, *[1] * (outputs.ndim - 2)).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (outputs * shares).sum(0) / shares.sum(0)
