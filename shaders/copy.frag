#version 410 core
// One texture as it is, texel by texel; the blend state adds.
uniform sampler2D t_source;
out vec4 o_color;
void main() { o_color = texelFetch(t_source, ivec2(gl_FragCoord.xy), 0); }
