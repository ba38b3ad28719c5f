"""Keras' dropout, which a kerasvit model may call directly."""

import keras

from kerasvit.layers.base import PACKAGE
from kerasvit.layers.direct_calls import DirectCalls


@keras.saving.register_keras_serializable(PACKAGE)
class Dropout(DirectCalls, keras.layers.Dropout):
    """`keras.layers.Dropout`."""

    only_in_training = True
