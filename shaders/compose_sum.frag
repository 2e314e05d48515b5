#version 410 core
// Adds one expression's change, times its weight, to the running sum (the blend state adds).
uniform sampler2D t_log_diffuse;   // rgb log diffuse, a roughness
uniform sampler2D t_log_specular;  // rgb log specular
uniform sampler2D t_slope;
uniform float u_weight;
in vec2 v_square;
layout(location = 0) out vec4 o_log_diffuse;
layout(location = 1) out vec4 o_log_specular;
layout(location = 2) out vec2 o_slope;
void main() {
    o_log_diffuse = u_weight * textureLod(t_log_diffuse, v_square, 0.0);
    o_log_specular = u_weight * textureLod(t_log_specular, v_square, 0.0);
    o_slope = u_weight * textureLod(t_slope, v_square, 0.0).rg;
}
