using Xfrmd.Cli.Control;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.Cli.Tests;

/// <summary>How faults are written, set and shown.</summary>
public sealed class FaultTests : IDisposable
{
    private readonly TestDaemon _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [Theory]
    [InlineData("NEWSA:ENOMEM", false, false, (int)XfrmMsg.NewSa, "Refuse", 1, long.MaxValue)]
    [InlineData("xfrm_msg_delpolicy:lose@3", false, false, (int)XfrmMsg.DelPolicy, "Lose", 3, 3)]
    [InlineData("event/EXPIRE:lose@2+", false, true, (int)XfrmMsg.Expire, "Lose", 2, long.MaxValue)]
    [InlineData("SADB_ADD:delay=1.5s@1-4", true, false, (int)SadbType.Add, "Delay", 1, 4)]
    [InlineData("SADB_X_SPDADD:EEXIST", true, false, (int)SadbType.XSpdAdd, "Refuse", 1, long.MaxValue)]
    [InlineData("event/sadb_x_nat_t_new_mapping:lose", true, true, (int)SadbType.XNatTNewMapping, "Lose", 1, long.MaxValue)]
    public void What_makes_sense(string text, bool isPfKey, bool isEvent, int type, string kind, long first, long last)
    {
        FaultRule rule = Assert.IsType<FaultRule>(FaultSpec.TryParse(text, out string mistake));
        Assert.Equal("", mistake);
        Assert.Equal((new FaultSubject(isPfKey, isEvent, (ushort)type), kind, first, last, text), (rule.Subject, rule.Kind.ToString(), rule.First, rule.Last, rule.Text));
        Assert.Equal(text.Contains("EEXIST", StringComparison.Ordinal) ? Errno.EEXIST : text.Contains("ENOMEM", StringComparison.Ordinal) ? Errno.ENOMEM : Errno.None, rule.Errno);
        Assert.Equal(rule.Kind == FaultKind.Delay ? TimeSpan.FromSeconds(1.5) : default, rule.Delay);
    }

    [Theory]
    [InlineData("NEWSA", "MESSAGE:EFFECT is wanted")]
    [InlineData(":ENOMEM", "MESSAGE:EFFECT is wanted")]
    [InlineData("NEWS:ENOMEM", "is no message")]
    [InlineData("16:ENOMEM", "is no message")]
    [InlineData("Max:ENOMEM", "is no message")]
    [InlineData("SADB_RESERVED:ENOMEM", "is no message")]
    [InlineData("event/:lose", "is no message")]
    [InlineData("NEWSA:", "is no effect")]
    [InlineData("NEWSA:EFOO", "is no effect")]
    [InlineData("NEWSA:None", "is no effect")]
    [InlineData("NEWSA:EINTR", "is no effect")]
    [InlineData("NEWSA:12", "is no effect")]
    [InlineData("NEWSA:delay=", "is no effect")]
    [InlineData("NEWSA:delay=5", "is no effect")]
    [InlineData("NEWSA:delay=-5s", "is no effect")]
    [InlineData("NEWSA:delay=1e9s", "is no effect")]
    [InlineData("NEWSA:delay=61s", "is no effect")]
    [InlineData("NEWSA:lose@", "does not say which")]
    [InlineData("NEWSA:lose@0", "does not say which")]
    [InlineData("NEWSA:lose@3-2", "does not say which")]
    [InlineData("NEWSA:lose@x", "does not say which")]
    [InlineData("event/ACQUIRE:ENOMEM", "can be lost, no more")]
    [InlineData("event/ACQUIRE:delay=1s", "can be lost, no more")]
    public void What_does_not_says_why(string text, string why)
    {
        Assert.Null(FaultSpec.TryParse(text, out string mistake));
        Assert.Contains(why, mistake, StringComparison.Ordinal);
        Terminal typed = _daemon.Ask("fault", text);
        Assert.Equal(2, typed.Code);
        Assert.Contains(why, typed.Errors, StringComparison.Ordinal);
        Assert.True(_daemon.Space.Faults.IsEmpty);
    }

    [Fact]
    public void They_add_up_are_counted_and_go()
    {
        Assert.Contains("No fault is set", _daemon.Ask("fault").Output, StringComparison.Ordinal);
        _daemon.Ask("fault", "NEWSA:ENOMEM@2");
        Assert.Equal("NEWSA:ENOMEM@2  0 of 0 struck\nDELSA:lose  0 of 0 struck\n", _daemon.Ask("fault", "DELSA:lose").Output);
        FaultSubject newSa = new(IsPfKey: false, IsEvent: false, (ushort)XfrmMsg.NewSa);
        Assert.Equal([null, Errno.ENOMEM, null], new[] { 1, 2, 3 }.Select(_ => _daemon.Space.Faults.Find(newSa)?.Errno));
        Assert.Contains("NEWSA:ENOMEM@2  1 of 3 struck", _daemon.Ask("fault").Output, StringComparison.Ordinal);
        Assert.Equal("GETSA:EBUSY  0 of 0 struck\n", _daemon.Ask("fault", "--clear", "GETSA:EBUSY").Output);
        Assert.Equal("[{\"fault\":\"GETSA:EBUSY\",\"seen\":0,\"struck\":0}]\n", _daemon.Ask("fault", "--json").Output);
        Assert.Contains("No fault is set", _daemon.Ask("fault", "--clear").Output, StringComparison.Ordinal);
    }
}
