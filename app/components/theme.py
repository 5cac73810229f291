"""The page's look: Gradio's theme and the style sheet. One accent, which is the learned prompt's colour.

Contrast is AA in both themes: 4.5 to 1 for text, 3 to 1 for what marks a place (a test measures it in the browser).
"""

import gradio as gr

from app.view.colours import LEARNED
from core.files import ASSETS

STYLE = ASSETS / "style.css"

INK = ("#1b2430", "#e7ebf1")  # each colour in the light and the dark theme
QUIET = ("#566274", "#a6b0be")  # secondary text: notes, axes, units
PAPER = ("#ffffff", "#12171e")
FIELD = ("#ffffff", "#1a212b")  # where something is typed or chosen
SOFT = ("#f3f6f9", "#1a212b")
LINE = ("#dde3ea", "#2f3947")
EDGE = ("#858f9c", "#6f7b8b")  # of a field or a button: 3 to 1
ACCENT = (LEARNED, "#5fb2e6")
FILL = (LEARNED, LEARNED)  # behind white text

# What each colour is used for, in Gradio's names.
COLOURS = {
    INK: "body_text_color block_title_text_color block_label_text_color checkbox_label_text_color button_secondary_text_color accordion_text_color",
    QUIET: "body_text_color_subdued block_info_text_color input_placeholder_color",
    PAPER: "body_background_fill background_fill_primary",
    FIELD: "input_background_fill checkbox_background_color checkbox_label_background_fill button_secondary_background_fill",
    SOFT: "background_fill_secondary checkbox_label_background_fill_hover",
    LINE: "border_color_primary",
    EDGE: "input_border_color checkbox_border_color checkbox_label_border_color button_secondary_border_color",
    ACCENT: "border_color_accent input_border_color_focus checkbox_border_color_selected checkbox_label_border_color_selected slider_color",
    FILL: "checkbox_background_color_selected button_primary_background_fill button_primary_border_color",
    ("#e8f2f9", "#12303f"): "checkbox_label_background_fill_selected",
    ("#005282", "#00639b"): "button_primary_background_fill_hover",
    ("#ffffff", "#ffffff"): "button_primary_text_color",
    (SOFT[0], "#232c38"): "button_secondary_background_fill_hover",
    ("#00639b", ACCENT[1]): "link_text_color",
    ("transparent", "transparent"): "block_background_fill",
    ("0px", "0px"): "block_border_width",
    ("1px", "1px"): "input_border_width checkbox_label_border_width button_border_width",
    ("none", "none"): "block_shadow",
}

_blue = gr.themes.Color(
    *("#eef6fb", "#d8eaf6", "#b3d6ec", "#7fbadf", *reversed(ACCENT), "#00639b", "#005282", "#00416a", "#003353", "#00263e")
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
    **{name: light for (light, _), names in COLOURS.items() for name in names.split()},
    **{f"{name}_dark": dark for (_, dark), names in COLOURS.items() for name in names.split()},
    color_accent=LEARNED,
    block_padding="0px",
    block_title_text_size="13px",
    block_title_text_weight="600",
    block_info_text_size="12px",
    input_shadow_focus="none",
    input_padding="6px 10px",
    input_text_size="14px",
    checkbox_label_padding="5px 12px",
    checkbox_label_text_size="13px",
    loader_color=LEARNED,
    button_transition="background 0.15s, border-color 0.15s",
    button_large_text_size="14px",
    button_large_padding="7px 14px",
    button_small_text_size="13px",
    button_small_text_weight="600",
    button_small_padding="4px 12px",
    section_header_text_size="15px",
    layout_gap="14px",
    form_gap_width="10px",
)
