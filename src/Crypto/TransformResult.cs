namespace Xfrmd.Crypto;

/// <summary>Why a transform could not be made. As the errors of <c>crypto_alloc_*</c>, <c>setkey</c> and <c>setauthsize</c>.</summary>
public enum TransformResult
{
    Ok,

    /// <summary>No implementation of that name: ENOSYS.</summary>
    UnknownAlgorithm,

    /// <summary>A key length that the algorithm does not take: EINVAL.</summary>
    InvalidKey,

    /// <summary>A truncation that the algorithm does not take: EINVAL.</summary>
    InvalidIcv,
}
