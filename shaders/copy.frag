#version 410 core
// A share of one texture, texel by texel; the blend state adds.
uniform sampler2D t_source;
uniform float u_share = 1.0;
out vec4 o_color;
void main() { o_color = texelFetch(t_source, ivec2(gl_FragCoord.xy), 0) * u_share; }
