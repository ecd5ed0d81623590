# julia_ccall.jl: the library from Julia by ccall, which needs no binding. julia examples/python/julia_ccall.jl, after make shared.
# Prints the first five outputs of a network. Structures would be Julia structs with the members of the C ones, in their order.
const bml = joinpath(@__DIR__, "..", "..", "build", "libbml.so.0")
net, why = Ref{Ptr{Cvoid}}(C_NULL), Vector{UInt8}(undef, 512)
model = joinpath(@__DIR__, "..", "models", "ssc.safetensors")
status = ccall((:bml_nn_load, bml), Cint, (Ref{Ptr{Cvoid}}, Cstring, Ptr{UInt8}), net, model, why)
status == 0 || error(unsafe_string(pointer(why)))
x = Float32[16, -1, 3, 6, -4, 2.2]
y = Vector{Float32}(undef, ccall((:bml_nn_n_out, bml), Csize_t, (Ptr{Cvoid},), net[]))
ccall((:bml_nn_predict, bml), Cint, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Float32}, Ptr{Float32}, Csize_t), net[], C_NULL, y, x, 1)
println(y[1:5])
ccall((:bml_nn_free, bml), Cvoid, (Ptr{Cvoid},), net[])
