"""The page's look: Gradio's theme and the style sheet. One accent, which is the learned prompt's colour; quiet lines; text first.

Contrast is AA in both themes: 4.5 to 1 for text, 3 to 1 for what marks a place (a test measures it in the browser).
"""

import gradio as gr

from app.view.colours import LEARNED
from core.files import ASSETS

STYLE = ASSETS / "style.css"

INK, INK_DARK = "#1b2430", "#e7ebf1"
QUIET, QUIET_DARK = "#566274", "#a6b0be"  # secondary text: notes, axes, units
PAPER, PAPER_DARK = "#ffffff", "#12171e"
FIELD, FIELD_DARK = "#ffffff", "#1a212b"  # where something is typed or chosen
SOFT, SOFT_DARK = "#f3f6f9", "#1a212b"
LINE, LINE_DARK = "#dde3ea", "#2f3947"
EDGE, EDGE_DARK = "#858f9c", "#6f7b8b"  # of a field or a button: 3 to 1
ACCENT_DARK = "#5fb2e6"

_blue = gr.themes.Color(
    *("#eef6fb", "#d8eaf6", "#b3d6ec", "#7fbadf", ACCENT_DARK, LEARNED, "#00639b", "#005282", "#00416a", "#003353", "#00263e")
)

THEME = gr.themes.Base(
    primary_hue=_blue,
    secondary_hue=_blue,
    neutral_hue=gr.themes.colors.slate,
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    radius_size=gr.themes.sizes.radius_md,
    spacing_size=gr.themes.sizes.spacing_sm,
).set(
    body_background_fill=PAPER,
    body_background_fill_dark=PAPER_DARK,
    body_text_color=INK,
    body_text_color_dark=INK_DARK,
    body_text_color_subdued=QUIET,
    body_text_color_subdued_dark=QUIET_DARK,
    background_fill_primary=PAPER,
    background_fill_primary_dark=PAPER_DARK,
    background_fill_secondary=SOFT,
    background_fill_secondary_dark=SOFT_DARK,
    border_color_primary=LINE,
    border_color_primary_dark=LINE_DARK,
    border_color_accent=LEARNED,
    border_color_accent_dark=ACCENT_DARK,
    color_accent=LEARNED,
    block_background_fill="transparent",
    block_background_fill_dark="transparent",
    block_border_width="0px",
    block_border_width_dark="0px",
    block_padding="0px",
    block_shadow="none",
    block_shadow_dark="none",
    block_title_text_color=INK,
    block_title_text_color_dark=INK_DARK,
    block_title_text_size="13px",
    block_title_text_weight="600",
    block_label_text_color=INK,
    block_label_text_color_dark=INK_DARK,
    block_info_text_color=QUIET,
    block_info_text_color_dark=QUIET_DARK,
    block_info_text_size="12px",
    input_background_fill=FIELD,
    input_background_fill_dark=FIELD_DARK,
    input_border_color=EDGE,
    input_border_color_dark=EDGE_DARK,
    input_border_color_focus=LEARNED,
    input_border_color_focus_dark=ACCENT_DARK,
    input_border_width="1px",
    input_border_width_dark="1px",
    input_placeholder_color=QUIET,
    input_placeholder_color_dark=QUIET_DARK,
    input_shadow="none",
    input_shadow_focus="none",
    input_padding="6px 10px",
    input_text_size="14px",
    checkbox_background_color=FIELD,
    checkbox_background_color_dark=FIELD_DARK,
    checkbox_background_color_selected=LEARNED,
    checkbox_background_color_selected_dark=LEARNED,
    checkbox_border_color=EDGE,
    checkbox_border_color_dark=EDGE_DARK,
    checkbox_border_color_selected=LEARNED,
    checkbox_border_color_selected_dark=ACCENT_DARK,
    checkbox_label_background_fill=FIELD,
    checkbox_label_background_fill_dark=FIELD_DARK,
    checkbox_label_background_fill_hover=SOFT,
    checkbox_label_background_fill_hover_dark=SOFT_DARK,
    checkbox_label_background_fill_selected="#e8f2f9",
    checkbox_label_background_fill_selected_dark="#12303f",
    checkbox_label_border_color=EDGE,
    checkbox_label_border_color_dark=EDGE_DARK,
    checkbox_label_border_color_selected=LEARNED,
    checkbox_label_border_color_selected_dark=ACCENT_DARK,
    checkbox_label_border_width="1px",
    checkbox_label_border_width_dark="1px",
    checkbox_label_padding="5px 12px",
    checkbox_label_text_color=INK,
    checkbox_label_text_color_dark=INK_DARK,
    checkbox_label_text_size="13px",
    slider_color=LEARNED,
    slider_color_dark=ACCENT_DARK,
    loader_color=LEARNED,
    button_border_width="1px",
    button_border_width_dark="1px",
    button_transition="background 0.15s, border-color 0.15s",
    button_large_text_size="14px",
    button_large_text_weight="600",
    button_large_padding="7px 14px",
    button_small_text_size="13px",
    button_small_text_weight="600",
    button_small_padding="4px 12px",
    button_primary_background_fill=LEARNED,
    button_primary_background_fill_dark=LEARNED,
    button_primary_background_fill_hover="#005282",
    button_primary_background_fill_hover_dark="#00639b",
    button_primary_border_color=LEARNED,
    button_primary_border_color_dark=LEARNED,
    button_primary_text_color="#ffffff",
    button_primary_text_color_dark="#ffffff",
    button_secondary_background_fill=FIELD,
    button_secondary_background_fill_dark=FIELD_DARK,
    button_secondary_background_fill_hover=SOFT,
    button_secondary_background_fill_hover_dark="#232c38",
    button_secondary_border_color=EDGE,
    button_secondary_border_color_dark=EDGE_DARK,
    button_secondary_text_color=INK,
    button_secondary_text_color_dark=INK_DARK,
    link_text_color="#00639b",
    link_text_color_dark=ACCENT_DARK,
    section_header_text_size="15px",
    layout_gap="14px",
    form_gap_width="10px",
    accordion_text_color=INK,
    accordion_text_color_dark=INK_DARK,
)
