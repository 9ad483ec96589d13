"""Figure functions: numbers in, `Figure` out, without runs, training or torch.

Each figure function returns an object with the plotly figure, a caption, an alt text that states
the finding, and the numbers as a table; `Figure.export` writes it as pdf, svg, png, html, csv or
tex. A function takes precedence over the module of its name: `from qtha_lab.figures import pareto`
imports the function.
"""

from qtha_lab.figures.angle_landscape import angle_landscape as angle_landscape
from qtha_lab.figures.architecture_search import search_scatter as search_scatter
from qtha_lab.figures.best_of_trials import best_of_trials as best_of_trials
from qtha_lab.figures.bond_history import bond_history as bond_history
from qtha_lab.figures.bytes_sent import loss_against_bytes as loss_against_bytes
from qtha_lab.figures.circuit import circuit_diagram as circuit_diagram
from qtha_lab.figures.circuit_history import circuit_history as circuit_history
from qtha_lab.figures.circuit_inputs import circuit_inputs as circuit_inputs
from qtha_lab.figures.circuit_state import circuit_state as circuit_state
from qtha_lab.figures.curves import from_events as from_events
from qtha_lab.figures.curves import loss_curves as loss_curves
from qtha_lab.figures.difference_by_rate import difference_by_rate as difference_by_rate
from qtha_lab.figures.engine_speeds import engine_speeds as engine_speeds
from qtha_lab.figures.evaluation_variants import loss_by_variant as loss_by_variant
from qtha_lab.figures.expected_values import expected_values as expected_values
from qtha_lab.figures.expressibility import expressibility as expressibility
from qtha_lab.figures.false_wins import false_wins as false_wins
from qtha_lab.figures.forest import forest as forest
from qtha_lab.figures.fourier import fourier_spectrum as fourier_spectrum
from qtha_lab.figures.history import run_history as run_history
from qtha_lab.figures.importance import setting_importance as setting_importance
from qtha_lab.figures.initialisation_energy import start_energy as start_energy
from qtha_lab.figures.learning_rate import loss_against_rate as loss_against_rate
from qtha_lab.figures.machinery.figure import Figure as Figure
from qtha_lab.figures.machinery.registry import figure_function as figure_function
from qtha_lab.figures.machinery.registry import figure_functions as figure_functions
from qtha_lab.figures.mpo import mpo_diagram as mpo_diagram
from qtha_lab.figures.overlap_histogram import overlap_histogram as overlap_histogram
from qtha_lab.figures.parallel import parallel_coordinates as parallel_coordinates
from qtha_lab.figures.parameter_budget import parameter_budget as parameter_budget
from qtha_lab.figures.parameters_by_width import parameters_by_width as parameters_by_width
from qtha_lab.figures.pareto import pareto as pareto
from qtha_lab.figures.quantisation import perplexity_by_bits as perplexity_by_bits
from qtha_lab.figures.qubit_budget import qubit_budget as qubit_budget
from qtha_lab.figures.rank_views import rank_by_layer as rank_by_layer
from qtha_lab.figures.regimes import regimes as regimes
from qtha_lab.figures.results import results_table as results_table
from qtha_lab.figures.scatter import run_scatter as run_scatter
from qtha_lab.figures.seeds import seed_spread as seed_spread
from qtha_lab.figures.signal_by_layers import signal_by_layers as signal_by_layers
from qtha_lab.figures.spectra import singular_values as singular_values
from qtha_lab.figures.spectra import spectrum_over_training as spectrum_over_training
from qtha_lab.figures.spectra_history import updates_side_by_side as updates_side_by_side
from qtha_lab.figures.steps_to_target import steps_to_target as steps_to_target
from qtha_lab.figures.token_path import token_path as token_path
from qtha_lab.figures.trainability import gradient_variance as gradient_variance
from qtha_lab.figures.truncation import truncation_error as truncation_error
