#version 410 core
// One triangle that covers the target; needs no buffer.
out vec2 v_square;   // 0..1 over the target
void main() {
    v_square = vec2(gl_VertexID == 1 ? 2.0 : 0.0, gl_VertexID == 2 ? 2.0 : 0.0);
    gl_Position = vec4(v_square * 2.0 - 1.0, 1.0, 1.0);
}
