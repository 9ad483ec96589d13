"""Figure functions: numbers in, `Figure` out, without runs, training or torch.

Each figure function returns an object with the plotly figure, a caption, an alt text that states
the finding, and the numbers as a table; `Figure.export` writes it as pdf, svg, png, html, csv or
tex. Each file has the name of its function, which the package exports: `figures.pareto(points)`.
"""

from qtha_lab.figures.angle_landscape import angle_landscape as angle_landscape
from qtha_lab.figures.best_of_trials import best_of_trials as best_of_trials
from qtha_lab.figures.bond_history import bond_history as bond_history
from qtha_lab.figures.circuit_diagram import circuit_diagram as circuit_diagram
from qtha_lab.figures.circuit_history import circuit_history as circuit_history
from qtha_lab.figures.circuit_inputs import circuit_inputs as circuit_inputs
from qtha_lab.figures.circuit_state import circuit_state as circuit_state
from qtha_lab.figures.difference_by_rate import difference_by_rate as difference_by_rate
from qtha_lab.figures.engine_speeds import engine_speeds as engine_speeds
from qtha_lab.figures.expected_values import expected_values as expected_values
from qtha_lab.figures.expressibility import expressibility as expressibility
from qtha_lab.figures.false_wins import false_wins as false_wins
from qtha_lab.figures.forest import forest as forest
from qtha_lab.figures.fourier_spectrum import fourier_spectrum as fourier_spectrum
from qtha_lab.figures.gradient_variance import gradient_variance as gradient_variance
from qtha_lab.figures.loss_against_bytes import loss_against_bytes as loss_against_bytes
from qtha_lab.figures.loss_against_rate import loss_against_rate as loss_against_rate
from qtha_lab.figures.loss_by_variant import loss_by_variant as loss_by_variant
from qtha_lab.figures.loss_curves import from_events as from_events
from qtha_lab.figures.loss_curves import loss_curves as loss_curves
from qtha_lab.figures.machinery.figure import FIGURES as FIGURES
from qtha_lab.figures.machinery.figure import Figure as Figure
from qtha_lab.figures.machinery.figure import figure_function as figure_function
from qtha_lab.figures.machinery.figure import figure_functions as figure_functions
from qtha_lab.figures.mpo_diagram import mpo_diagram as mpo_diagram
from qtha_lab.figures.overlap_histogram import overlap_histogram as overlap_histogram
from qtha_lab.figures.parallel_coordinates import parallel_coordinates as parallel_coordinates
from qtha_lab.figures.parameter_budget import parameter_budget as parameter_budget
from qtha_lab.figures.parameters_by_width import parameters_by_width as parameters_by_width
from qtha_lab.figures.pareto import pareto as pareto
from qtha_lab.figures.perplexity_by_bits import perplexity_by_bits as perplexity_by_bits
from qtha_lab.figures.qubit_budget import qubit_budget as qubit_budget
from qtha_lab.figures.rank_by_layer import rank_by_layer as rank_by_layer
from qtha_lab.figures.regimes import regimes as regimes
from qtha_lab.figures.results_table import results_table as results_table
from qtha_lab.figures.run_history import run_history as run_history
from qtha_lab.figures.run_scatter import run_scatter as run_scatter
from qtha_lab.figures.search_scatter import search_scatter as search_scatter
from qtha_lab.figures.seed_spread import seed_spread as seed_spread
from qtha_lab.figures.setting_importance import setting_importance as setting_importance
from qtha_lab.figures.signal_by_layers import signal_by_layers as signal_by_layers
from qtha_lab.figures.spectra import spectra as spectra
from qtha_lab.figures.spectrum_over_training import spectrum_over_training as spectrum_over_training
from qtha_lab.figures.start_energy import start_energy as start_energy
from qtha_lab.figures.steps_to_target import steps_to_target as steps_to_target
from qtha_lab.figures.token_path import token_path as token_path
from qtha_lab.figures.truncation_error import truncation_error as truncation_error
from qtha_lab.figures.updates_side_by_side import updates_side_by_side as updates_side_by_side
